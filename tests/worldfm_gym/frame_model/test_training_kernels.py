"""The training kernels give the network's own outputs and gradients."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.network import FrameDiT, KeysValues

REPOSITORY = Path(__file__).parents[3]


def outputs_and_gradients(
    network: FrameDiT, references: int, *, device: str
) -> dict[str, torch.Tensor]:
    """The output of a few frames, and the gradient of every weight that they depend on."""
    draws = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=draws).to(device)

    batch, lens = 3, torch.tensor([[20.0, 22.0, 19.0, 12.0]], device=device)
    memory = relative = None
    if references:
        images = random(batch * references, 5, 24, 32)
        kept = network.encode_references(images, lens.expand(len(images), 4))
        parts = (
            t.unflatten(1, (batch, references)).flatten(2, 3) for t in (kept.keys, kept.values)
        )
        memory, relative = KeysValues(*parts), random(batch, references, 4, 4)
    drawn = network(
        random(batch, 4, 24, 40), random(batch), random(batch, 9, 24, 40), lens.expand(batch, 4),
        memory, relative,
    )  # fmt: skip
    network.zero_grad()
    (drawn * random(*drawn.shape)).sum().backward()
    gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    return {"output": drawn.detach(), **gradients}


def compare(device: str) -> None:
    """Raise unless fused and plain networks agree, with and without references."""
    torch.manual_seed(0)
    plain = FrameDiT(FrameModelConfig(width=64, depth=2, heads=2, stem=16, detail=8)).to(device)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    fused = copy.deepcopy(plain)
    fused.fuse()
    for references in (0, 2):
        expected = outputs_and_gradients(plain, references, device=device)
        found = outputs_and_gradients(fused, references, device=device)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            scale = float(value.abs().max()) + 1e-6
            torch.testing.assert_close(found[name] / scale, value / scale, rtol=0, atol=1e-4)


def test_agree_in_the_interpreter() -> None:
    """Triton's interpreter runs the very kernels on the CPU; it needs a process of its own."""
    script = "from tests.worldfm_gym.frame_model.test_training_kernels import compare\n"
    done = subprocess.run(
        [sys.executable, "-c", script + "compare('cpu')\nprint('equal')"],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "equal"


@pytest.mark.gpu
def test_agree_on_a_gpu() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    compare("cuda")
