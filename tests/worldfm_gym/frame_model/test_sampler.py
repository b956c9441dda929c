"""Sampler: which points of the path are visited."""

from __future__ import annotations

import pytest
import torch

from worldfm_gym.errors import FrameModelError
from worldfm_gym.frame_model.sampler import check_steps, mix, sample


@pytest.mark.parametrize(
    ("steps", "times"), [(1, [1.0]), (2, [1.0, 0.2]), (4, [1.0, 0.75, 0.5, 0.25])]
)
def test_a_perfect_network_is_asked_on_its_path(steps: int, times: list[float]) -> None:
    random = torch.Generator().manual_seed(0)
    noise, clean = torch.randn(2, 3, 4, 8, 8, generator=random)
    asked = []

    def predict(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        asked.append(float(time[0]))
        torch.testing.assert_close(noisy, mix(clean, noise, float(time[0])), rtol=0, atol=1e-5)
        return clean

    assert torch.equal(sample(predict, noise, steps=steps), clean)
    assert asked == pytest.approx(times)


def test_steps_that_make_no_sense_are_refused() -> None:
    with pytest.raises(FrameModelError, match="at least 1"):
        sample(lambda noisy, time: noisy, torch.zeros(1, 4, 8, 8), steps=0)
    with pytest.raises(FrameModelError, match="1 or 2"):
        check_steps(3)
