"""Stage 3: the matching gradient is Yin et al.'s, and the student learns what the teacher draws."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worldfm_gym.training.toy_training import (
    ALONE,
    CPU,
    FLOAT32,
    TOY_MODEL,
    logged,
    toy_network,
    toy_options,
    toy_source,
)
from worldfm_gym.errors import ConfigError
from worldfm_gym.frame_model.pretrained import FrameModel
from worldfm_gym.training.checkpoint import load_checkpoint
from worldfm_gym.training.conditioned import draw, prepare
from worldfm_gym.training.discriminator import (
    AdversarialOptions,
    Adversary,
    PatchDiscriminator,
)
from worldfm_gym.training.distill import (
    DistillOptions,
    DistillStage,
    MatchingOptions,
    _takes_turn,
    train_distill,
)
from worldfm_gym.training.generator_config import GeneratorConfig
from worldfm_gym.training.losses import LossOptions, energy_score, matching_loss
from worldfm_gym.training.neighbors import disagreement
from worldfm_gym.training.options import OptimizerOptions
from worldfm_gym.training.stage import Moment

NO_ADVERSARY = AdversarialOptions(weight=0.0)


def stage(**changes: Any) -> DistillStage:
    options = DistillOptions(
        **toy_options(
            Path("unused"),
            steps=1,
            init=Path("unused"),
            optimizer=OptimizerOptions(learning_rate=2e-3, warmup_steps=1, betas=(0.5, 0.98)),
        ),
        loss=LossOptions(gradient=0),
        generator=GeneratorConfig(neighbors=True),
        distill=replace(
            MatchingOptions(pairs=1, teacher_steps=4, adversarial=NO_ADVERSARY), **changes
        ),
    )
    return DistillStage(toy_network(), options, arithmetic=FLOAT32, processes=ALONE)


def steps_of(trained: DistillStage, count: int, *, seed: int = 0) -> list[dict[str, float]]:
    source, generator = toy_source(), torch.Generator().manual_seed(seed)
    trained.begin(lambda: source.batch(2))
    figures = []
    for step in range(count):
        moment = Moment(step=step, progress=0.0, rate=1.0, generator=generator)
        values = trained.step(source.batch(2), moment)
        figures.append({name: float(value) for name, value in values.items()})
    return figures


def test_matching_gradient_is_the_normalized_difference_of_predictions() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn, real, fake = torch.randn(3, 2, 4, 8, 8, generator=generator)
    drawn.requires_grad_()
    matching_loss(drawn, real, fake, weight=None).backward()
    scale = (drawn - real).abs().mean((1, 2, 3), keepdim=True)
    expected = ((fake - real) / scale).detach() / drawn.numel()
    assert drawn.grad is not None
    assert torch.allclose(drawn.grad, expected, atol=1e-7)


def test_nothing_is_to_be_matched_while_the_fake_network_is_the_teacher() -> None:
    assert steps_of(stage(), 1)[0]["matching"] == pytest.approx(0, abs=1e-9)


def test_the_fake_network_learns_the_students_images() -> None:
    trained = stage(
        matching=1e-9, regression=0.0, truth_told=0.0, truth_invented=0.0, two_steps=0.0
    )
    losses = [figures["fake"] for figures in steps_of(trained, 20)]
    assert sum(losses[-5:]) < 0.85 * sum(losses[:5])


def test_regression_leads_one_and_two_steps_to_the_teachers_images() -> None:
    trained = stage(
        matching=0.0,
        truth_told=0.0,
        truth_invented=0.0,
        pair_share=1.0,
        pair_refresh=1000,
        two_steps=0.5,
    )
    # A student that has strayed from the teacher.
    with torch.no_grad():
        trained.learners["network"].network.to_pixels.bias += 0.3
    figures = steps_of(trained, 20)
    for turn in (0, 1):
        losses = [f["regression"] for f in figures[turn::2]]
        assert losses[-1] < 0.3 * losses[0]


def test_matching_draws_a_strayed_student_back_to_the_teacher() -> None:
    trained = stage(regression=0.0, truth_told=0.0, truth_invented=0.0, two_steps=0.0, matching=1.0)
    for name in ("network", "fake"):  # the fake network knows how the student strayed
        with torch.no_grad():
            trained.learners[name].network.to_pixels.bias += 0.3
    views = prepare(toy_source().batch(2))

    def distance() -> float:
        student = trained.learners["network"].network
        teacher = trained.frozen["teacher"]
        with torch.no_grad():
            bright = draw(student, views, steps=1) - draw(teacher, views, steps=1)  # type: ignore[arg-type]
        return float(bright[:, :3].mean().abs())

    before = distance()
    steps_of(trained, 25)
    assert distance() < 0.7 * before


def test_without_matching_there_is_no_fake_network() -> None:
    trained = stage(matching=0.0)
    assert set(trained.learners) == {"network"}
    assert "fake" not in steps_of(trained, 1)[0]


@pytest.mark.parametrize("size", [(32, 32), (24, 72), (128, 64)])
def test_the_discriminator_judges_cells_of_any_image(size: tuple[int, int]) -> None:
    judgments = PatchDiscriminator(4)(torch.zeros(2, 4, *size), torch.zeros(2, 10, *size))
    cells = [(size[0] // side, size[1] // side) for side in (8, 16)]
    assert [tuple(j.shape) for j in judgments] == [(2, 1, *cell) for cell in cells]


def adversary(**changes: Any) -> Adversary:
    options = {"width": 8, "ramp": 0.0, "smoothness": 1.0, "told": 1.0} | changes
    return Adversary(
        AdversarialOptions(**options),
        optimizer=OptimizerOptions(learning_rate=2e-3, betas=(0.5, 0.98)),
        arithmetic=FLOAT32,
        processes=ALONE,
        seed=0,
    )


def test_the_adversary_tells_true_from_drawn_images_and_sends_those_to_the_truth() -> None:
    views, generator = prepare(toy_source().batch(2)), torch.Generator().manual_seed(0)
    moment = Moment(step=0, progress=1.0, rate=1.0, generator=generator)
    dark = views.truth - 0.5
    judge = adversary()
    losses = [float(judge.train(views, dark, moment)["adversary"]) for _ in range(30)]
    assert losses[-1] < 0.3 < 0.6 < losses[0]
    drawn = dark.clone().requires_grad_()
    judge.loss(views, drawn, moment).backward()
    assert drawn.grad is not None
    downhill = -drawn.grad[:, :3] * drawn.numel()
    assert downhill.mean() > 0.02
    assert (drawn.grad * drawn.numel()).square().mean().sqrt() == pytest.approx(0.5, rel=1e-3)


def test_the_adversary_is_phased_in_and_leaves_told_pixels_alone_if_asked() -> None:
    views, generator = prepare(toy_source().batch(2)), torch.Generator().manual_seed(0)
    start = Moment(step=0, progress=0.0, rate=1.0, generator=generator)
    later = Moment(step=9, progress=0.5, rate=1.0, generator=generator)
    for moment, told, expected in ((start, 1.0, 0.0), (later, 0.0, 0.5)):
        drawn = (views.truth - 0.5).requires_grad_()
        adversary(ramp=0.2, told=told).loss(views, drawn, moment).backward()
        assert drawn.grad is not None
        size = (drawn.grad * drawn.numel()).square().sum(1, keepdim=True)
        untold = 1 - views.told
        where = untold if told == 0 else torch.ones_like(untold)
        mean = size.sum() / (4 * where.sum())
        assert mean.sqrt() == pytest.approx(expected, rel=1e-3)
        if told == 0:
            assert (size * (views.told == 1)).sum() == 0


def test_the_energy_score_is_least_for_draws_from_the_truths_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (400, 1, 16, 16)

    def textures(contrast: float) -> torch.Tensor:
        """Blots whose common brightness is as random as their pattern."""
        parts = torch.randn(shape, generator=generator) + torch.randn(
            400, 1, 1, 1, generator=generator
        )
        return contrast * parts

    truth, pixels = textures(1.0), torch.ones(shape)
    scores = {
        contrast: float(energy_score(textures(contrast), textures(contrast), truth, pixels=pixels))
        for contrast in (0.0, 0.5, 1.0, 1.6)
    }
    assert min(scores, key=lambda contrast: scores[contrast]) == 1.0
    same = textures(1.0)
    assert energy_score(same, same, truth, pixels=pixels) > 1.2 * scores[1.0]
    assert energy_score(same, -same, truth, pixels=0 * pixels) == pytest.approx(0.0005, abs=1e-4)


def test_the_energy_score_ties_what_is_drawn_to_its_noise() -> None:
    trained = stage(matching=0.0, regression=0.0, truth_told=0.0, truth_invented=0.0, energy=1.0)
    figures = steps_of(trained, 20)
    assert figures[-1]["energy"] < figures[0]["energy"]
    assert "energy" not in steps_of(stage(), 1)[0]


def test_what_neighbors_draw_of_one_wall_agrees_if_it_is_fixed_to_the_wall() -> None:
    views = prepare(toy_source().batch(4))
    random = torch.rand(views.truth.shape, generator=torch.Generator().manual_seed(0))
    of_world, of_chance = (float(disagreement(views, x)) for x in (views.truth, random))
    assert of_world < 1e-3 < 0.02 < of_chance
    shown = (views.truth + views.covered * random).requires_grad_()
    apart = disagreement(views, shown)
    assert float(apart.detach()) == pytest.approx(
        of_world, abs=1e-6
    )  # the anchor's pixels don't count
    apart.backward()
    assert shown.grad is not None
    assert (shown.grad * views.covered).abs().max() == 0 < shown.grad[1::2].abs().max()


def test_consistency_draws_neighbors_together(tmp_path: Path) -> None:
    alone = {"matching": 0.0, "regression": 0.0, "truth_told": 0.0, "truth_invented": 0.0}
    figures = steps_of(stage(**alone, consistency=1.0), 20)
    assert figures[-1]["apart"] < 0.5 * figures[0]["apart"]
    options = toy_options(tmp_path, steps=1, init=tmp_path)
    with pytest.raises(ConfigError, match="neighboring views"):
        DistillOptions(**options, distill=MatchingOptions(consistency=1.0))


def test_a_run_ends_with_a_student_and_can_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FrameModel(toy_network()).save_pretrained(tmp_path / "teacher.safetensors")
    common = {"model": TOY_MODEL, "distill": MatchingOptions(pairs=2, teacher_steps=2)}
    options = DistillOptions(
        **toy_options(tmp_path / "out", steps=6, init=tmp_path / "teacher.safetensors", **common)
    )
    train_distill(options, source=toy_source())
    first = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors", stage="distill")
    assert {name.split(".")[0] for name in first.tensors} == {
        "network",
        "fake",
        "adversary",
        "teacher",
        "random",
    }
    again = DistillOptions(**toy_options(tmp_path / "out", steps=8, resume=True, **common))
    train_distill(again, source=toy_source())
    second = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors", stage="distill")
    assert second.progress.step == 8
    for name, weight in first.part("teacher").items():
        assert torch.equal(second.tensors[f"teacher.{name}"], weight)
    assert len(logged(capsys.readouterr().out, "fake")) == 2  # after steps 1 and 5
    model = FrameModel.from_pretrained(tmp_path / "out" / "model.safetensors", device=CPU)
    assert model.metadata["stage"] == "distill"


def test_distillation_needs_a_teacher_and_possible_options(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a teacher"):
        DistillOptions(**toy_options(tmp_path, steps=1))
    with pytest.raises(ConfigError, match="pairs must be at least 1"):
        MatchingOptions(pairs=0)
    with pytest.raises(ConfigError, match="two_steps must be a share"):
        MatchingOptions(two_steps=1.5)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.4, 1.0])
def test_turns_are_spread_evenly(share: float) -> None:
    turns = [_takes_turn(step, share) for step in range(100)]
    assert sum(turns) == round(100 * share)
    assert all(abs(sum(turns[:n]) - n * share) < 1 for n in range(100))
