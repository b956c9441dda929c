import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction.alignment import Overlap, align_log_scales
from worldfm_gym.reconstruction.scale import metric_scale


def scale(**changes):
    values = {"metric": False, "camera_height": 0.5, "median_depth": 1.0, "camera_height_m": None}
    return metric_scale(**{**values, **changes})


def test_a_given_camera_height_decides():
    for metric in (False, True):
        found = scale(metric=metric, camera_height_m=1.2)
        assert found.factor == pytest.approx(2.4)
        assert "given" in found.rule
        assert found.note is None


def test_relative_depth_gets_the_usual_camera_height():
    assert scale().factor == pytest.approx(3.0)


@pytest.mark.parametrize("height", [0.3, 1.5, 4.0])
def test_metric_depth_is_believed(height):
    assert scale(metric=True, camera_height=height).factor == 1.0


@pytest.mark.parametrize("height", [0.1, 9.0])
def test_metric_depth_of_a_senseless_camera_height_is_not(height):
    found = scale(metric=True, camera_height=height)
    assert found.factor == pytest.approx(1.5 / height)
    assert "not believed" in found.note


def test_without_a_floor():
    assert scale(metric=True, camera_height=None).factor == 1.0
    found = scale(camera_height=None, median_depth=6.0)
    assert found.factor == pytest.approx(0.5)
    assert "a guess" in found.note


@pytest.mark.parametrize("height", [0, -1, 0.01, 80, float("nan")])
def test_senseless_camera_heights_are_refused(height):
    with pytest.raises(SourceError, match=r"0\.05…50"):
        scale(camera_height_m=height)


@given(seed=st.integers(0, 1000), count=st.integers(2, 8))
def test_alignment_undoes_any_scales_of_connected_views(seed, count):
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 0.5, count)
    chain = [(i, i + 1) for i in range(count - 1)]
    extra = [tuple(rng.choice(count, 2, replace=False)) for _ in range(count)]
    overlaps = [
        Overlap(int(i), int(j), true[i] - true[j], rng.uniform(1, 9)) for i, j in chain + extra
    ]
    found = align_log_scales(overlaps, count)
    aligned = found + true
    np.testing.assert_allclose(aligned, aligned.mean(), atol=0.02 * np.abs(true).max() + 1e-6)


def test_views_without_overlap_keep_their_scale():
    np.testing.assert_array_equal(align_log_scales([], 3), 0)
    found = align_log_scales([Overlap(0, 1, 0.4, 10.0)], 3)
    assert found[2] == 0
    assert found[0] - found[1] == pytest.approx(-0.4, abs=1e-3)
