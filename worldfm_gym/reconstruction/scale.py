"""Metric scale: how many metres a unit of estimated depth is, told by the camera's height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worldfm_gym.errors import SourceError

USUAL_CAMERA_HEIGHT_M = 1.5
_MIN_CAMERA_HEIGHT_M, _MAX_CAMERA_HEIGHT_M = 0.05, 50.0
_LOWEST_BELIEVED_M, _HIGHEST_BELIEVED_M = 0.25, 5.0
_USUAL_MEDIAN_M = 3.0


@dataclass(frozen=True, slots=True)
class Scale:
    """What depth is multiplied by, and why.

    Attributes:
        factor: Metres per unit of depth.
        rule: How it was found, in words.
        note: What a user should know of it; None if there is nothing.
    """

    factor: float
    rule: str
    note: str | None = None


def metric_scale(
    *,
    metric: bool,
    camera_height: float | None,
    median_depth: float,
    camera_height_m: float | None,
) -> Scale:
    """Choose the scale of estimated depth.

    A camera height that the user gives decides. Otherwise metric estimates keep their scale, unless
    it puts the camera 0.25 m or less, or 5 m or more above the floor; the rest is scaled to a
    camera 1.5 m above the floor, or to a median depth of 3 m where no floor is in view.

    Args:
        metric: Whether the depth is in metres already.
        camera_height: Height of the camera over the floor in units of depth; None without a floor.
        median_depth: Median depth in units of depth.
        camera_height_m: What the user says, metres.

    Raises:
        SourceError: If `camera_height_m` is not within 0.05…50 m.
    """
    if camera_height_m is not None:
        check_camera_height(camera_height_m)
    if camera_height is None:
        if metric:
            return Scale(1.0, "the estimator's metres")
        return Scale(
            _USUAL_MEDIAN_M / median_depth,
            f"median depth taken as {_USUAL_MEDIAN_M:g} m",
            "without a floor in view the size of the place is a guess: give metric depth, or a "
            "photo that shows the floor and camera_height_m=",
        )
    if camera_height_m is not None:
        return Scale(camera_height_m / camera_height, f"camera height given: {camera_height_m:g} m")
    if not metric:
        return Scale(
            USUAL_CAMERA_HEIGHT_M / camera_height,
            f"camera height taken as {USUAL_CAMERA_HEIGHT_M:g} m",
        )
    if _LOWEST_BELIEVED_M < camera_height < _HIGHEST_BELIEVED_M:
        return Scale(1.0, "the estimator's metres")
    return Scale(
        USUAL_CAMERA_HEIGHT_M / camera_height,
        f"camera height taken as {USUAL_CAMERA_HEIGHT_M:g} m",
        f"the estimator puts the camera {camera_height:.2f} m above the floor, which was not "
        f"believed: scaled to {USUAL_CAMERA_HEIGHT_M:g} m. Pass camera_height_m= if that is wrong",
    )


def check_camera_height(camera_height_m: float) -> None:
    """Check a camera height that a user gave.

    Raises:
        SourceError: If it is not within 0.05…50 m.
    """
    low, high = _MIN_CAMERA_HEIGHT_M, _MAX_CAMERA_HEIGHT_M
    if not (np.isfinite(camera_height_m) and low <= camera_height_m <= high):
        raise SourceError(
            f"camera_height_m must lie within {low}…{high:g} m above the floor, got "
            f"{camera_height_m}"
        )
