"""Estimated frames: a picture without depth becomes an RGB-D frame with a floor and a scale."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.camera import Camera
from worldfm_gym.errors import SourceError
from worldfm_gym.reconstruction.depth_edges import sharpened, steep_pixels
from worldfm_gym.reconstruction.estimator import DepthEstimate, DepthEstimator
from worldfm_gym.reconstruction.ground import Ground, find_ground, flattened
from worldfm_gym.reconstruction.scale import USUAL_CAMERA_HEIGHT_M, Scale, metric_scale
from worldfm_gym.worlds.floor import Floor
from worldfm_gym.worlds.fusion import PosedFrame
from worldfm_gym.worlds.images import MAX_MEDIAN_DEPTH_M, MIN_MEDIAN_DEPTH_M

ANCHOR_REACH_M = 20.0
"""What is farther from a photo's camera stays in the reference only."""

_FLOOR_M = 0.05
_LEAST_CONFIDENCE = 0.15
_MIN_KNOWN = 0.05  # share of pixels with depth
_MIN_FOV_DEG, _MAX_FOV_DEG = 10.0, 140.0
_USUAL_FOV_DEG = 60.0  # of the longer side
_FLOOR_ON_TOP = 2.0  # times the share of a floor below it
_TOP_SHARE = 0.08
_LOOKING_UP = 0.1  # sine of the camera's pitch
_SURER = 1.25
_STEEPEST = np.sin(np.deg2rad(35.0))  # what is steeper is a wall


@dataclass(frozen=True, slots=True)
class EstimatedFrame:
    """One picture with estimated depth, its floor and its scale.

    Attributes:
        frame: The picture, metric depth and a camera at the origin, c2w = identity.
        floor: The floor in camera coordinates; where none is in view, one is assumed.
        floor_is_seen: Whether the floor is in view.
        scale: What the estimate was multiplied by, and why.
        fov_from: Where the field of view is from, in words.
        notes: What a user should know of, in words.
    """

    frame: PosedFrame
    floor: Floor
    floor_is_seen: bool
    scale: Scale
    fov_from: str
    notes: list[str] = field(default_factory=list)

    @property
    def camera_height_m(self) -> float:
        """Height of the camera above the floor, metres."""
        return -self.floor.height

    def record(self) -> dict[str, Any]:
        """What `World.source` says about the estimate."""
        camera = self.frame.camera
        fov = 2 * np.arctan(0.5 * camera.width / camera.intrinsics[0])
        return {
            "size": [camera.width, camera.height],
            "K": camera.K.round(3).tolist(),
            "fov_x_deg": round(float(np.rad2deg(fov)), 2),
            "fov_from": self.fov_from,
            "camera_height_m": round(self.camera_height_m, 3),
            "scale": round(self.scale.factor, 4),
            "scale_from": self.scale.rule,
            "floor_from": "seen" if self.floor_is_seen else "assumed",
        }


def estimate_frame(
    rgb: NDArray[np.uint8],
    *,
    estimator: DepthEstimator,
    name: str,
    K: NDArray[np.float64] | None = None,
    fov_from: str | None = None,
    camera_height_m: float | None = None,
    opaque: NDArray[np.bool_] | None = None,
) -> EstimatedFrame:
    """Estimate the depth of a picture taken by someone who stood on a floor.

    Args:
        rgb: The picture, upright, uint8 [H, W, 3].
        estimator: What estimates.
        name: What to call the picture in errors and notes.
        K: Intrinsics in pixels [3, 3]; None takes the estimator's.
        fov_from: Where `K` is from, in words.
        camera_height_m: Height of the camera above the floor, if it is known.
        opaque: False where nothing is to be known, bool [H, W].

    Raises:
        SourceError: If the estimator knows the depth of next to no pixel, or the camera's height
            makes no sense.
    """
    notes: list[str] = []
    estimate = estimator.estimate([rgb], None if K is None else [K])[0]
    depth_z = usable_depth(estimate, rgb, opaque, name=name)
    if K is None:
        K, fov_from = _estimated_lens(estimate, estimator.name, notes)
    depth_z = sharpened(depth_z, rgb)
    up_prior = estimate.up_camera
    ground = find_ground(depth_z, K, up_camera=up_prior)
    _note_upside_down(rgb, estimate, estimator, K, ground, depth_z, notes, name)
    scale = metric_scale(
        metric=estimate.metric,
        camera_height=None if ground is None else ground.height,
        median_depth=float(np.median(depth_z[depth_z > 0])),
        camera_height_m=camera_height_m,
    )
    if scale.note:
        notes.append(scale.note)
    if ground is not None:
        depth_z = flattened(depth_z, K, ground)
    depth_z = (depth_z * scale.factor).astype(np.float32)
    _check_extent(depth_z, name)
    height, width = depth_z.shape
    camera = Camera.from_matrix(np.eye(4), K, width=width, height=height)
    if ground is None:
        floor = _assumed_floor(depth_z, camera, up_prior, camera_height_m)
        notes.append(
            f"no floor was found in {name}: the camera is taken as level and "
            f"{-floor.height:.2f} m above one"
        )
    else:
        floor = Floor(
            ground.up, -ground.height * scale.factor, _area(depth_z, camera, ground.share), None
        )
    return EstimatedFrame(
        frame=PosedFrame(rgb, depth_z, camera, name),
        floor=floor,
        floor_is_seen=ground is not None,
        scale=scale,
        fov_from=str(fov_from),
        notes=notes,
    )


def solid(frame: PosedFrame, floor: Floor, *, reach_m: float = ANCHOR_REACH_M) -> PosedFrame:
    """What of a frame goes into the anchor: neither far away nor, off the floor, a ramp in the air.

    Args:
        frame: Estimated depth in metres.
        floor: The floor, in the coordinates of the frame's camera pose.
        reach_m: What is farther is left out.
    """
    camera = frame.camera
    ramp = steep_pixels(frame.depth, float(camera.intrinsics[:2].mean()))
    rise = camera.position_world @ floor.up + frame.depth * (camera.rays_world() @ floor.up)
    ramp &= rise - floor.height > _FLOOR_M
    keep = (frame.depth > 0) & (frame.depth <= reach_m) & ~ramp
    return replace(frame, depth=np.where(keep, frame.depth, np.float32(0.0)))


def usable_depth(
    estimate: DepthEstimate,
    rgb: NDArray[np.uint8],
    opaque: NDArray[np.bool_] | None = None,
    *,
    name: str,
) -> NDArray[np.float32]:
    """The depth of an estimate where it is known and trusted, 0 elsewhere, float32 [H, W].

    Raises:
        SourceError: If the estimate has another size than the picture, or next to no such pixel.
    """
    depth_z, confidence = np.asarray(estimate.depth_z), np.asarray(estimate.confidence)
    if depth_z.shape != rgb.shape[:2] or confidence.shape != depth_z.shape:
        raise SourceError(
            f"the estimator's depth of {name} has shape {list(depth_z.shape)} and its confidence "
            f"{list(confidence.shape)}; the picture has {list(rgb.shape[:2])}"
        )
    known = np.isfinite(depth_z) & (depth_z > 0) & (confidence >= _LEAST_CONFIDENCE)
    if opaque is not None:
        known &= opaque
    if known.mean() < _MIN_KNOWN:
        raise SourceError(
            f"the estimator can tell the depth of {known.mean():.0%} of the pixels of {name}: it "
            "shows no place near enough to stand in. Pass another photo, or its depth as depth="
        )
    return np.where(known, depth_z, 0.0).astype(np.float32)


def _note_upside_down(
    rgb: NDArray[np.uint8],
    estimate: DepthEstimate,
    estimator: DepthEstimator,
    K: NDArray[np.float64],
    ground: Ground | None,
    depth_z: NDArray[np.float32],
    notes: list[str],
    name: str,
) -> None:
    """Note it if the floor is at the top, or the estimator is surer of the picture turned over.

    The latter costs a second estimate, and is asked for only where no floor is in view or the
    camera seems to look up.
    """
    height, width = depth_z.shape
    turned = K.copy()
    turned[0, 2], turned[1, 2] = width - K[0, 2], height - K[1, 2]
    above = find_ground(np.ascontiguousarray(depth_z[::-1, ::-1]), turned)
    below = 0.0 if ground is None else ground.share
    advice = "If it is, rotate the picture by 180 degrees"
    on_top = above is not None and abs(above.up[2]) < _STEEPEST
    if above is not None and on_top and above.share > max(_TOP_SHARE, _FLOOR_ON_TOP * below):
        notes.append(
            f"{name} may be upside down: a level surface covers {above.share:.0%} of its upper "
            f"part, and {below:.0%} below is floor. {advice}"
        )
        return
    up = estimate.up_camera if ground is None else ground.up
    if ground is not None and up is not None and up[2] < _LOOKING_UP:
        return
    over = estimator.estimate([np.ascontiguousarray(rgb[::-1, ::-1])], [turned])[0]
    surer = float(over.confidence.mean() / max(float(estimate.confidence.mean()), 1e-6))
    if surer > _SURER:
        notes.append(
            f"{name} may be upside down: the estimator is {surer:.1f} times as sure of it turned "
            f"over. {advice}"
        )


def _check_extent(depth_z: NDArray[np.float32], name: str) -> None:
    """Raise if the depths are no place's."""
    median = float(np.median(depth_z[depth_z > 0]))
    if not MIN_MEDIAN_DEPTH_M <= median <= MAX_MEDIAN_DEPTH_M:
        raise SourceError(
            f"{name} comes out {median:.3g} m deep on average; places have "
            f"{MIN_MEDIAN_DEPTH_M}…{MAX_MEDIAN_DEPTH_M:g} m. Pass camera_height_m=, the height of "
            "the camera above the floor, or another photo"
        )


def _estimated_lens(
    estimate: DepthEstimate, estimator_name: str, notes: list[str]
) -> tuple[NDArray[np.float64], str]:
    """The estimator's intrinsics, or those of an ordinary lens if they make no sense."""
    height, width = estimate.depth_z.shape
    K = np.asarray(estimate.K, np.float64)
    if K.shape == (3, 3) and np.isfinite(K).all() and min(K[0, 0], K[1, 1]) > 0:
        fov_deg = float(np.rad2deg(2 * np.arctan(0.5 * max(width, height) / K[0, 0])))
        if _MIN_FOV_DEG < fov_deg < _MAX_FOV_DEG:
            return K, f"estimated by {estimator_name}"
    focal = 0.5 * max(width, height) / np.tan(np.deg2rad(_USUAL_FOV_DEG) / 2)
    notes.append(
        f"the field of view is unknown and taken as {_USUAL_FOV_DEG:g} degrees of the longer side: "
        "pass fov_x_deg= if you know it"
    )
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), "assumed"


def _assumed_floor(
    depth_z: NDArray[np.float32],
    camera: Camera,
    up_prior: NDArray[np.float64] | None,
    camera_height_m: float | None,
) -> Floor:
    """A level floor below everything in view, at least at the usual camera height."""
    up = np.array([0.0, -1.0, 0.0]) if up_prior is None else np.asarray(up_prior, np.float64)
    rise = (camera.unproject(depth_z.astype(np.float64)) @ up)[depth_z > 0]
    height = float(camera_height_m or USUAL_CAMERA_HEIGHT_M)
    if camera_height_m is None:
        height = max(height, -float(np.percentile(rise, 1.0)))
    return Floor(up, -height, 0.0, None)


def _area(depth_z: NDArray[np.float32], camera: Camera, share: float) -> float:
    """Rough area in m² of a surface that fills a share of the known pixels."""
    known = depth_z[depth_z > 0].astype(np.float64)
    pixel = known**2 / (camera.intrinsics[0] * camera.intrinsics[1])
    return float(share * pixel.sum())
