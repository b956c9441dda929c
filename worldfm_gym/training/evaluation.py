"""Evaluation: draws fixed views in every way there is and scores each drawing against the truth.

The ways are the rows of the table: the anchor alone, two inpaintings of it, the anchor with its
references' pixels moved to where they belong, the student in one and two steps, and its teacher in
many. All but the inpaintings are drawn by the renderers that environments use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldfm_gym.anchor_renderer import AnchorRenderer
from worldfm_gym.frame_model.conditioning import PosedImages
from worldfm_gym.frame_model.memory import References
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.frame_renderer import FrameRenderer, network_on
from worldfm_gym.renderer import Renderer
from worldfm_gym.training import metrics
from worldfm_gym.training.baselines import grey_holes, inpaint, with_reference_points
from worldfm_gym.training.evaluation_views import EvaluationViews

FloatArray = NDArray[np.float64]

ANCHOR, TELEA, NAVIER_STOKES = "anchor only", "inpainted, Telea", "inpainted, Navier–Stokes"
REFERENCE_POINTS = "anchor + reference points"
STUDENT_1, STUDENT_2, TEACHER = "student, 1 step", "student, 2 steps", "teacher"
TRUTH = "truth"

PER_VIEW = (
    "psnr",
    "psnr_covered",
    "psnr_uncovered",
    "ssim",
    "ssim_covered",
    "ssim_uncovered",
    "absrel_covered",
    "absrel_uncovered",
    "inverse_covered",
    "inverse_uncovered",
    "consistency",
    "consistency_fresh",
)
SHARPNESS = "sharpness_uncovered"
COLUMNS = (*PER_VIEW[:6], SHARPNESS, *PER_VIEW[6:])

_AT_ONCE = 128
# Columns that would say nothing: the anchor draws nothing where it has no points, and the truth is
# compared with itself, save between views, where it shows what resampling alone costs.
_SILENT = {
    ANCHOR: ("absrel_uncovered", "inverse_uncovered", "consistency"),
    TRUTH: tuple(name for name in PER_VIEW if name != "consistency"),
}
_OTHER_NOISE = 0x5EED  # a seed whose noise has nothing in common with the usual


@dataclass(frozen=True, slots=True)
class RowScores:
    """Scores of one way of drawing.

    Attributes:
        values: By the names in `PER_VIEW`, float64 [V]; NaN where a view has too few such pixels.
        energy: Gradient energy of the uncovered pixels as drawn and in truth, float64 [2, V].
    """

    values: Mapping[str, FloatArray]
    energy: FloatArray

    def summary(self, chosen: NDArray[np.bool_]) -> dict[str, float]:
        """Figures over some of the views [V], by the names in `COLUMNS`; NaN where there are none.

        Means over the views of what each view scores; sharpness is the energy of all views as drawn
        over that of all in truth.
        """
        figures = {name: _nanmean(self.values[name][chosen]) for name in PER_VIEW}
        drawn, true = self.energy[:, chosen].sum(axis=1)
        figures[SHARPNESS] = float(drawn / true) if true > 0 else float("nan")
        return {name: figures[name] for name in COLUMNS}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of an evaluation.

    Attributes:
        views: What was drawn.
        coverage: Share of each view that the anchor covers, float64 [V].
        rows: Scores by way of drawing, in the order of the table.
        drawings: What was drawn, uint8 [V, H, W, 3] by way of drawing.
        covered: Pixels that the anchor covers, bool [V, H, W].
        teacher_steps: Steps of the teacher.
    """

    views: EvaluationViews
    coverage: FloatArray
    rows: Mapping[str, RowScores]
    drawings: Mapping[str, NDArray[np.uint8]]
    covered: NDArray[np.bool_]
    teacher_steps: int


@dataclass(frozen=True, slots=True)
class _Drawing:
    """One way of drawing, as tensors on the device of the metrics."""

    name: str
    rgb: Tensor
    depth_z: Tensor
    neighbor_rgb: Tensor | None = None
    fresh_neighbor_rgb: Tensor | None = None


def evaluate(
    views: EvaluationViews,
    *,
    student: FrameModel,
    teacher: FrameModel | None = None,
    teacher_steps: int = 32,
    references: int = 2,
    device: str = "cpu",
    progress: Callable[[str], None] = lambda name: None,
) -> Evaluation:
    """Draw and score views.

    Args:
        views: What to draw, and the truth.
        student: Drawn in 1 and in 2 steps.
        teacher: Drawn in `teacher_steps`; None leaves that row out.
        teacher_steps: Steps of the teacher.
        references: References per view for the frame model.
        device: ``"cpu"`` or a CUDA device.
        progress: Told the name of each way of drawing before it starts.

    Raises:
        MissingExtraError: If torchmetrics or OpenCV is not installed.
    """
    judge = _Judge(views, device=device)
    rows, drawings = {}, {}
    models = [(STUDENT_1, student, 1), (STUDENT_2, student, 2)]
    if teacher is not None:
        models.append((TEACHER, teacher, teacher_steps))
    with torch.no_grad():
        for drawing in judge.drawings(models, references, progress):
            rows[drawing.name] = judge.score(drawing)
            drawings[drawing.name] = drawing.rgb.cpu().numpy()
    covered = judge.covered.cpu().numpy()
    return Evaluation(
        views, covered.mean(axis=(1, 2)), rows, drawings, covered, teacher_steps=teacher_steps
    )


class _Judge:
    """Knows the truth of the views, what the anchor shows of them, and draws and scores."""

    def __init__(self, views: EvaluationViews, *, device: str) -> None:
        self.views, self.device = views, device
        self.truth = _posed(views, device)
        self.near_truth = None if views.neighbors is None else _posed(views.neighbors, device)
        self.anchor = self._render(AnchorRenderer(views.worlds, device=device), views)
        self.covered = self.anchor[1] > 0
        self.near_anchor, self.near_covered = self.anchor, self.covered
        if views.neighbors is not None:
            self.near_anchor = self._render(
                AnchorRenderer(views.worlds, device=device), views.neighbors
            )
            self.near_covered = self.near_anchor[1] > 0

    def drawings(
        self,
        models: Sequence[tuple[str, FrameModel, int]],
        references: int,
        progress: Callable[[str], None],
    ) -> Iterator[_Drawing]:
        """All ways of drawing in turn, the truth last."""
        progress(ANCHOR)
        yield self._painted(ANCHOR, lambda rgb, depth_z, kept: (grey_holes(rgb, kept), depth_z))
        progress(TELEA)
        yield self._painted(TELEA, lambda *a: inpaint(*a, method="telea"))
        progress(NAVIER_STOKES)
        yield self._painted(NAVIER_STOKES, lambda *a: inpaint(*a, method="navier-stokes"))
        progress(REFERENCE_POINTS)
        yield self._reprojected()
        for name, model, steps in models:
            progress(name)
            yield self._generated(name, model, steps, references)
        near = None if self.near_truth is None else self.near_truth.rgb
        yield _Drawing(TRUTH, self.truth.rgb, self.truth.depth_z, near)

    def score(self, drawing: _Drawing) -> RowScores:
        """Score one way of drawing."""
        truth, covered = self.truth, self.covered
        # Where a scan has no depth its color still counts.
        masks = {"": None, "_covered": covered, "_uncovered": ~covered}
        similarity = metrics.ssim_map(drawing.rgb, truth.rgb)
        values = {}
        for end, mask in masks.items():
            values["psnr" + end] = metrics.psnr(drawing.rgb, truth.rgb, mask=mask)
            values["ssim" + end] = metrics.masked_mean(similarity, mask)
            if mask is not None:
                depths = (drawing.depth_z, truth.depth_z, mask)
                values["absrel" + end] = metrics.absolute_relative_error(*depths)
                values["inverse" + end] = metrics.inverse_depth_error(*depths)
        values["consistency"] = self._consistency(drawing.rgb, drawing.neighbor_rgb)
        values["consistency_fresh"] = self._consistency(drawing.rgb, drawing.fresh_neighbor_rgb)
        for name in _SILENT.get(drawing.name, ()):
            values[name] = torch.full((len(covered),), torch.nan)
        energy = torch.stack(
            [metrics.gradient_energy(rgb, ~covered) for rgb in (drawing.rgb, truth.rgb)]
        )
        return RowScores(
            {name: values[name].double().cpu().numpy() for name in PER_VIEW}, energy.cpu().numpy()
        )

    def _consistency(self, rgb: Tensor, neighbor_rgb: Tensor | None) -> Tensor:
        """Agreement of invented pixels with those of the neighbors, NaN without neighbors."""
        if neighbor_rgb is None or self.near_truth is None:
            return torch.full((len(rgb),), torch.nan)
        return metrics.consistency(
            self.truth,
            self.near_truth,
            rgb=rgb,
            neighbor_rgb=neighbor_rgb,
            masks=torch.stack([~self.covered, ~self.near_covered]),
        )

    def _painted(self, name: str, paint: Callable[..., tuple[Any, Any]]) -> _Drawing:
        """The anchor's images with their holes treated by a function of numpy arrays."""

        def treat(images: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            rgb, depth_z = (image.cpu().numpy() for image in images)
            return self._to_device(*paint(rgb, depth_z, depth_z > 0))

        near = None if self.near_truth is None else treat(self.near_anchor)[0]
        return _Drawing(name, *treat(self.anchor), near)

    def _reprojected(self) -> _Drawing:
        """Anchor and reference pixels as points, what is left inpainted."""
        worlds = [with_reference_points(world) for world in self.views.worlds]
        renderer = AnchorRenderer(worlds, device=self.device)

        def draw(views: EvaluationViews) -> tuple[Tensor, Tensor]:
            rgb, depth_z = (image.cpu().numpy() for image in self._render(renderer, views))
            return self._to_device(*inpaint(rgb, depth_z, depth_z > 0, method="navier-stokes"))

        near = None if self.views.neighbors is None else draw(self.views.neighbors)[0]
        return _Drawing(REFERENCE_POINTS, *draw(self.views), near)

    def _generated(self, name: str, model: FrameModel, steps: int, references: int) -> _Drawing:
        """The frame model's views; their neighbors with the world's noise, and with other noise."""

        def renderer(noise_seed: int) -> FrameRenderer:
            return FrameRenderer(
                self.views.worlds,
                model=model,
                steps=steps,
                references=references,
                device=self.device,
                noise_seed=noise_seed,
            )

        anchored = renderer(0)
        rgb, depth_z = self._render(anchored, self.views)
        if self.views.neighbors is None:
            return _Drawing(name, rgb, depth_z)
        near, _ = self._render(anchored, self.views.neighbors)
        fresh, _ = self._render(renderer(_OTHER_NOISE), self.views.neighbors)
        return _Drawing(name, rgb, depth_z, near, fresh)

    def _render(self, renderer: Renderer, views: EvaluationViews) -> tuple[Tensor, Tensor]:
        """Color and depth of all views, on the device."""
        parts = []
        for start in range(0, len(views), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            frame = renderer.render(views.cameras[part], views.scene[part])
            # Copied: a renderer may draw the next frames into the same memory.
            parts.append([torch.as_tensor(image).clone() for image in (frame.rgb, frame.depth)])
        rgb, depth_z = (torch.cat(images) for images in zip(*parts, strict=True))
        return rgb.to(self.device), depth_z.to(self.device)

    def _to_device(
        self, rgb: NDArray[np.uint8], depth_z: NDArray[np.float32]
    ) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(rgb).to(self.device), torch.from_numpy(depth_z).to(self.device)


def _posed(views: EvaluationViews, device: str) -> PosedImages:
    """The truth of views as tensors."""
    arrays = (views.rgb, views.depth_z, views.cameras.c2w, views.cameras.intrinsics)
    rgb, depth_z, c2w, intrinsics = (torch.from_numpy(array).to(device) for array in arrays)
    return PosedImages(rgb, depth_z, c2w.float(), intrinsics.float())


def _nanmean(values: FloatArray) -> float:
    """Mean of what is not NaN; NaN if there is nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def references_drawn_on(
    evaluation: Evaluation, chosen: NDArray[np.int64], *, model: FrameModel, count: int = 2
) -> NDArray[np.uint8]:
    """The references that the frame model drew some of the views from, for a contact sheet.

    Args:
        evaluation: What was drawn.
        chosen: Indices of the views, int64 [K].
        model: The model.
        count: References per view.

    Returns:
        uint8 [K, count, h, w, 3]; black where a view had fewer.
    """
    views = evaluation.views
    cameras = views.cameras[chosen]
    anchor = AnchorRenderer([views.worlds[s] for s in views.scene[chosen]])
    scene = np.arange(len(chosen))
    depth_z = anchor.render(cameras, scene).depth
    with torch.no_grad():
        references = References(
            anchor.worlds,
            network=network_on(model, "cpu"),
            size_long_px=max(cameras.width, cameras.height),
            per_target=count,
        )
        rows = references.select(
            torch.from_numpy(depth_z),
            torch.from_numpy(cameras.c2w).float(),
            torch.from_numpy(cameras.intrinsics).float(),
            torch.from_numpy(scene),
        )
        images = references.gather(rows)[1].rgb * (rows.rows >= 0)[..., None, None, None]
    missing = count - images.shape[1]
    return np.pad(images.numpy(), ((0, 0), (0, missing), (0, 0), (0, 0), (0, 0)))
