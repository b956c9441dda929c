"""Blend models of one shape: a weighted sum of their weights, as with the shipped `nano`.

Models that were trained on from the same weights lie in one valley: sums of theirs draw as well.
Going a little beyond a student, away from its teacher, makes what it invents sharper.

    python scripts/blend_weights.py out/nano.safetensors \
        --add out/control/model.safetensors -0.06 --add out/distill/model.safetensors 1.06
"""

from __future__ import annotations

import argparse

import torch

from worldfm_gym.frame_model.pretrained import FrameModel


def main() -> None:
    """Write the sum; what is known about the last model is kept as that of the sum."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", help="model file to write")
    parser.add_argument(
        "--add", nargs=2, action="append", metavar=("MODEL", "SHARE"), required=True
    )
    given = parser.parse_args()
    models = [FrameModel.from_pretrained(name) for name, _ in given.add]
    shares = [float(share) for _, share in given.add]
    if abs(sum(shares) - 1) > 1e-6:
        parser.error(f"shares must add up to 1, got {shares}")
    weights = [model.network.state_dict() for model in models]
    result = models[-1]
    with torch.no_grad():
        for name, tensor in result.network.state_dict().items():
            parts = (s * w[name].float() for s, w in zip(shares, weights, strict=True))
            tensor.copy_(sum(part.clone() for part in parts))
    told = dict(result.metadata)
    told["blend"] = ", ".join(f"{share:g}" for share in shares)
    FrameModel(result.network, told).save_pretrained(given.out)


if __name__ == "__main__":
    main()
