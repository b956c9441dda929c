"""Odometry: camera poses of a short RGB-D sequence that has none, by Open3D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.camera import Camera, FloatArray, invert_rigid, rotation_exp
from worldfm_gym.errors import MissingExtraError, SourceError
from worldfm_gym.worlds.consistency import sightings
from worldfm_gym.worlds.fusion import PosedFrame, surface_pixels

_LONGER_SIDE_PX = 320
_MAX_DEPTH_M = 8.0
_MAX_STEP_M = 0.07  # between depths that may belong together
_SAMPLES = 3000  # points of a frame that an alignment is judged by
_MIN_OVERLAP = 0.25  # share of a frame's points that the next must show
_MIN_AGREEMENT = 0.6  # of points in both images: share whose depth agrees
_CERTAIN = 0.93  # agreement at which no other start is tried
_MAX_GREY_ERROR = 25.0  # median difference of brightness at points that agree
_TURNS_RAD = np.deg2rad(
    [-20.0, -10.0, 0.0, 10.0, 20.0]
)  # tried where a frame can't be followed directly
_KEYFRAMES = 40  # between which loops are closed, at most
_LOOPS_EACH = 2  # of a keyframe, at most: alignments are what takes the time
_LOOP_OVERLAP = 0.5
_PRUNE_BELOW = 0.25


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Camera poses of a sequence.

    Attributes:
        c2w: Camera-to-world transforms, float64 [N, 4, 4]; the first is the identity.
        loops: How many pairs of frames that are no neighbors were aligned as well.
    """

    c2w: FloatArray
    loops: int


@dataclass(frozen=True, slots=True)
class _View:
    """A frame as alignment needs it: small, grey, and a sample of its points."""

    frame: PosedFrame
    grey: NDArray[np.float32]
    points: Anchor  # in the camera's own frame, colored by brightness
    rgbd: Any


@dataclass(frozen=True, slots=True)
class _Alignment:
    """A rigid motion from one camera's frame to another's, and how well it explains both."""

    target_from_source: FloatArray
    information: FloatArray
    overlap: float
    agreement: float
    grey_error: float

    @property
    def good(self) -> bool:
        return (
            self.overlap >= _MIN_OVERLAP
            and self.agreement >= _MIN_AGREEMENT
            and self.grey_error <= _MAX_GREY_ERROR
        )

    @property
    def score(self) -> float:
        """Larger is better; a wrong alignment can have the larger overlap, so it isn't counted."""
        seen = self.overlap >= _MIN_OVERLAP
        return seen * self.agreement * float(np.exp(-self.grey_error / _MAX_GREY_ERROR))


def track(frames: Sequence[PosedFrame]) -> Trajectory:
    """Find the poses of RGB-D frames in the order they were taken.

    Each frame is aligned to the next by RGB-D odometry with a photometric and a geometric term
    (Park et al., "Colored Point Cloud Registration Revisited", ICCV 2017), starting from the motion
    before, from none and, where that leads nowhere certain, from turns of 10° and 20°. Frames that
    see the same place again are aligned too, and a pose graph settles all of it (Choi et al.,
    "Robust Reconstruction of Indoor Scenes", CVPR 2015). Every alignment is verified by looking up
    the points of one frame in the other.

    Args:
        frames: Colors, depths and intrinsics; their cameras' poses are not read.

    Raises:
        SourceError: If lenses differ, or a frame can't be followed from the one before; the
            message names it.
        MissingExtraError: If Open3D is not installed.
    """
    o3d = _open3d()
    first = frames[0].camera
    for frame in frames:
        camera = frame.camera
        same = (camera.width, camera.height) == (first.width, first.height)
        if not same or not np.allclose(camera.intrinsics, first.intrinsics):
            raise SourceError(
                f"{frame.name} has another lens or size than {frames[0].name}: a sequence without "
                "poses must be of one camera"
            )
    views = [_view(frame, o3d) for frame in frames]
    steps: list[_Alignment] = []
    for i in range(len(views) - 1):
        before = steps[-1].target_from_source if steps else np.eye(4)
        step = _follow(views[i], views[i + 1], before, o3d)
        if not step.good:
            raise SourceError(
                f"{frames[i + 1].name} can't be followed from {frames[i].name}: "
                f"{step.overlap:.0%} of it is in view and {step.agreement:.0%} of that agrees. "
                "Leave no gaps between frames, move slowly, or give poses as c2w in scan.json"
            )
        steps.append(step)
    c2w = _chained(steps)
    loops = list(_loops(views, c2w, o3d))
    if loops:
        c2w = _settled(c2w, steps, loops, o3d)
    return Trajectory(c2w, len(loops))


def _open3d() -> Any:
    """The package."""
    try:
        import open3d
    except ImportError as error:
        raise MissingExtraError("open3d", "geometry", "finding the poses of a sequence") from error
    return open3d


def _view(frame: PosedFrame, o3d: Any) -> _View:
    """Shrink a frame and sample its points."""
    height, width = frame.depth.shape
    scale = min(1.0, _LONGER_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(frame.rgb)
    rgb = np.asarray(picture.resize(size, Image.Resampling.BOX))
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BOX))
    depth_z = np.array(Image.fromarray(frame.depth).resize(size, Image.Resampling.NEAREST))
    depth_z[(depth_z > _MAX_DEPTH_M) | ~surface_pixels(depth_z)] = 0
    lens = frame.camera.resized(*size).intrinsics
    camera = Camera(np.eye(4), lens, *size)
    small = PosedFrame(rgb, depth_z, camera, frame.name)
    rows, columns = np.nonzero(depth_z)
    if len(rows) == 0:
        raise SourceError(f"{frame.name} has no usable depth within {_MAX_DEPTH_M:.0f} m")
    chosen = np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    points = Anchor.from_points(
        camera.unproject(depth_z.astype(np.float64))[rows, columns],
        np.repeat(grey[rows, columns, None], 3, axis=1),
        radius=np.maximum(0.5 * depth_z[rows, columns] / lens[0], 1e-4),
    )
    intensity = grey.astype(np.float32)
    rgbd = o3d.geometry.RGBDImage()
    rgbd.color = o3d.geometry.Image(intensity / 255)
    rgbd.depth = o3d.geometry.Image(depth_z)
    return _View(small, intensity, points, rgbd)


def _follow(source: _View, target: _View, before: FloatArray, o3d: Any) -> _Alignment:
    """Align two frames that follow each other."""
    best: _Alignment | None = None
    for start in _starts(before):
        aligned = _align(source, target, start, o3d)
        if aligned.good and aligned.agreement >= _CERTAIN:
            return aligned
        if best is None or aligned.score > best.score:
            best = aligned
    assert best is not None
    return best


def _starts(before: FloatArray) -> Iterator[FloatArray]:
    """Motions to start from: the last one, none, and turns, the smaller ones first."""
    yield before
    if not np.array_equal(before, np.eye(4)):
        yield np.eye(4)
    turns = [(pitch, yaw) for pitch in _TURNS_RAD for yaw in _TURNS_RAD if pitch or yaw]
    for pitch, yaw in sorted(turns, key=lambda turn: float(np.hypot(*turn))):
        start = np.eye(4)
        start[:3, :3] = rotation_exp([pitch, yaw, 0.0])
        yield start


def _align(source: _View, target: _View, start: FloatArray, o3d: Any) -> _Alignment:
    """Run odometry from a start and judge where it ends."""
    camera = source.frame.camera
    fx, fy, cx, cy = camera.intrinsics
    # Open3D counts pixels from their centers.
    lens = o3d.camera.PinholeCameraIntrinsic(
        camera.width, camera.height, fx, fy, cx - 0.5, cy - 0.5
    )
    option = o3d.pipelines.odometry.OdometryOption(
        depth_diff_max=_MAX_STEP_M, depth_min=0.05, depth_max=_MAX_DEPTH_M
    )
    _, motion, information = o3d.pipelines.odometry.compute_rgbd_odometry(
        source.rgbd,
        target.rgbd,
        lens,
        start,
        o3d.pipelines.odometry.RGBDOdometryJacobianFromHybridTerm(),
        option,
    )
    motion = np.asarray(motion, np.float64)
    return _judged(source, target, motion, np.asarray(information, np.float64))


def _judged(
    source: _View, target: _View, motion: FloatArray, information: FloatArray
) -> _Alignment:
    """How well a motion explains the target: the source's points are looked up in it."""
    if not np.isfinite(motion).all():
        return _Alignment(np.eye(4), information, 0.0, 0.0, np.inf)
    placed = replace(
        source.points,
        points=(source.points.points @ motion[:3, :3].T + motion[:3, 3]).astype(np.float32),
    )
    seen = sightings(placed, target.frame)
    shown = seen.quality > 0
    pixels, depth_z = target.frame.camera.project(placed.points.astype(np.float64))
    with np.errstate(invalid="ignore"):
        inside = (depth_z > 0) & (pixels >= 0).all(-1)
        inside &= (pixels < [target.frame.camera.width, target.frame.camera.height]).all(-1)
    if not shown.any():
        return _Alignment(motion, information, float(inside.mean()), 0.0, np.inf)
    brightness = seen.color[shown] @ np.array([0.299, 0.587, 0.114], np.float32)
    grey_error = np.median(np.abs(brightness - placed.colors[shown, 0]))
    # Hidden points say nothing; those that the target saw through disagree.
    agreement = shown.sum() / max(1, (shown | seen.passed).sum())
    return _Alignment(
        motion, information, float(inside.mean()), float(agreement), float(grey_error)
    )


def _chained(steps: Sequence[_Alignment]) -> FloatArray:
    """Camera-to-world transforms [N, 4, 4] of motions from each frame to the next."""
    c2w = [np.eye(4)]
    for step in steps:
        c2w.append(c2w[-1] @ invert_rigid(step.target_from_source))
    return np.stack(c2w)


def _loops(
    views: Sequence[_View], c2w: FloatArray, o3d: Any
) -> Iterator[tuple[int, int, _Alignment]]:
    """Alignments of keyframes that are no neighbors and see one place."""
    count = len(views)
    keyframes = np.unique(np.linspace(0, count - 1, min(count, _KEYFRAMES)).round().astype(int))
    for i in keyframes:
        closed = 0
        # The frames that were taken last bind most of the drift.
        for j in keyframes[::-1]:
            if j - i < 2 or closed == _LOOPS_EACH:
                break
            start = invert_rigid(c2w[j]) @ c2w[i]
            if _judged(views[i], views[j], start, np.eye(6)).overlap < _LOOP_OVERLAP:
                continue
            alignment = _align(views[i], views[j], start, o3d)
            if alignment.good and alignment.overlap >= _LOOP_OVERLAP:
                yield int(i), int(j), alignment
                closed += 1


def _settled(
    c2w: FloatArray,
    steps: Sequence[_Alignment],
    loops: Sequence[tuple[int, int, _Alignment]],
    o3d: Any,
) -> FloatArray:
    """Poses [N, 4, 4] that all alignments agree on best, the first one kept."""
    registration = o3d.pipelines.registration
    graph = registration.PoseGraph()
    for pose in c2w:
        graph.nodes.append(registration.PoseGraphNode(pose))
    neighbors = [(i, i + 1, step, False) for i, step in enumerate(steps)]
    for i, j, step, uncertain in [*neighbors, *((*loop, True) for loop in loops)]:
        graph.edges.append(
            registration.PoseGraphEdge(
                i, j, step.target_from_source, step.information, uncertain=uncertain
            )
        )
    registration.global_optimization(
        graph,
        registration.GlobalOptimizationLevenbergMarquardt(),
        registration.GlobalOptimizationConvergenceCriteria(),
        registration.GlobalOptimizationOption(
            max_correspondence_distance=_MAX_STEP_M,
            edge_prune_threshold=_PRUNE_BELOW,
            reference_node=0,
        ),
    )
    poses = np.stack([np.asarray(node.pose) for node in graph.nodes])
    return np.asarray(invert_rigid(poses[0]) @ poses)
