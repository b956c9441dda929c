"""The Triton path draws what the network draws: in Triton's interpreter, and on a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.worldfm_gym.frame_model import drawing
from worldfm_gym.frame_model.accelerate import PlainDrawer, accelerate
from worldfm_gym.frame_model.config import FrameModelConfig
from worldfm_gym.frame_model.targets import Targets

REPOSITORY = Path(__file__).parents[3]

INTERPRETED = """
import dataclasses

import torch
from tests.worldfm_gym.frame_model import drawing
from worldfm_gym.frame_model.fused import FusedFrameDiT, Launch, Launches

network = drawing.lively_network(dataclasses.replace(drawing.SMALL, depth=1))
images, lenses = drawing.make_references(height=24, width=48)
expected = network.encode_references(images, lenses)
# Programs whose rows do not divide the tokens, and loops of several rounds.
way, wide = Launch(rows=16, inner=16, warps=4, stages=2), Launch(128, 64, 4, 2)
launches = Launches(wide, wide, Launch(16, 3, 4, 2), way, way, Launch(16, 4, 4, 2))
fused = FusedFrameDiT(network, device="cpu", dtype=torch.float32, launches=launches)
memory = fused.encode_references(images, lenses)
torch.testing.assert_close(memory.values, expected.values, rtol=0, atol=1e-4)
for batch, references, steps in ((2, 2, 2), (1, 0, 1)):
    targets = drawing.make_targets(batch, references=references)
    truth = drawing.draw_plainly(network, targets, expected if references else None, steps=steps)
    drawn = fused.sample(targets, memory if references else None, steps=steps)
    torch.testing.assert_close(drawn, truth, rtol=0, atol=1e-3)
print("equal")
"""


def test_draws_what_the_network_draws_in_the_interpreter() -> None:
    """Triton's interpreter runs the very kernels on the CPU; it needs a process of its own."""
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env=environment,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "equal"


def test_shapes_that_kernels_are_not_made_for_are_drawn_plainly() -> None:
    odd = drawing.lively_network(FrameModelConfig(width=48, depth=1, heads=1, stem=16, detail=8))
    assert isinstance(accelerate(odd, "cuda"), PlainDrawer)


def test_the_plain_drawer_draws_what_the_network_draws() -> None:
    network = drawing.lively_network()
    plain = accelerate(network, "cpu", steps=4)
    images, lenses = drawing.make_references()
    memory = plain.encode_references(images, lenses)
    targets = drawing.make_targets()
    expected = drawing.draw_plainly(network, targets, memory, steps=4)
    assert torch.equal(plain.sample(targets, memory, steps=4), expected)


def on_gpu(targets: Targets) -> Targets:
    return Targets(
        targets.noise.cuda(), targets.conditioning.cuda(), targets.intrinsics.cuda(),
        targets.index.cuda(), targets.relative.cuda(), targets.log_weight.cuda(),
    )  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("batch", "height", "width", "references"),
    [(1, 128, 128, 2), (40, 128, 128, 2), (3, 72, 104, 3), (2, 64, 64, 0)],
)
@pytest.mark.parametrize("steps", [1, 2])
def test_rounding_to_bfloat16_is_all_that_differs_on_the_gpu(
    batch: int, height: int, width: int, references: int, steps: int
) -> None:
    network = drawing.lively_network(FrameModelConfig(), spread=0.02).cuda()
    targets = on_gpu(drawing.make_targets(batch, height=height, width=width, references=references))
    images, lenses = (part.cuda() for part in drawing.make_references(height=96, width=88))
    theirs = network.encode_references(images, lenses) if references else None
    fused = accelerate(network, "cuda", steps=steps)
    ours = fused.encode_references(images, lenses) if references else None
    truth = drawing.draw_plainly(network, targets, theirs, steps=steps)
    error = (fused.sample(targets, ours, steps=steps) - truth).square().mean()
    assert 10 * torch.log10(4 / error) > 40
    assert (truth - targets.conditioning[:, :4]).std() > 0.1


@pytest.mark.gpu
def test_captured_calls_return_what_the_function_returns() -> None:
    from worldfm_gym.frame_model.captured import CapturedCalls

    offset = torch.ones(3, device="cuda")
    calls = CapturedCalls(lambda x, y: (x * y + offset, x - y), graphs=2)
    for size in (1, 2, 3, 2, 1):
        x, y = torch.rand(2, size, 3, device="cuda")
        kept = calls(x, y)
        calls(y, y)
        assert torch.equal(kept[0], x * y + offset)
        assert torch.equal(kept[1], x - y)
    offset.fill_(2)
    assert torch.equal(calls(x, y)[0], x * y + 2)
