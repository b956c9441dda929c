"""Depth scenes: procedural worlds with random looks and strange things, to learn depth from.

A network that knows only these worlds is to work on photos. So nothing but the geometry of a space
may be reliable: materials, colors and lights change at random, and invented objects stand, hang and
lie in the way.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldfm_gym.errors import ConfigError, SourceError
from worldfm_gym.reconstruction.depth_network import STRIDE
from worldfm_gym.training.generator_config import TRAINING_SEEDS
from worldfm_gym.training.views import plan_places
from worldfm_gym.worlds.procedural import KINDS, build_scene
from worldfm_gym.worlds.raycast.packing import PackedScenes, pack_scene
from worldfm_gym.worlds.scene import Material, Scene, Shape

FloatArray = NDArray[np.float32]
_Rng = np.random.Generator

_TRIES = 5
_GOLDEN = 0.6180339887498949  # spreads sizes evenly over any run of jobs
_UNSHADED = (Material.EMISSIVE, Material.WINDOW)
_SURFACES = np.array([m for m in Material if m not in _UNSHADED])


@dataclass(frozen=True, kw_only=True)
class DepthDataConfig:
    """What the depth network learns from; the defaults suit a data-center GPU.

    Raises:
        ConfigError: On values that no sample can be made with.
    """

    kinds: tuple[str, ...] = (
        "rooms",
        "factory",
        "rooms",
        "warehouse",
        "rooms",
        "rooms",
        "maze",
    )
    """Kinds of worlds, taken in turn."""
    sizes: tuple[tuple[int, int], ...] = (
        (256, 192),
        (288, 192),
        (192, 256),
        (224, 224),
        (320, 240),
        (272, 160),
    )
    """Image sizes (width, height) in pixels; all samples of a batch have the same."""
    size_shares: tuple[float, ...] = (0.3, 0.2, 0.12, 0.08, 0.2, 0.1)
    """Share of the worlds, and of the batches, that each size gets."""
    views: int = 64
    """Views of each world."""
    kept: float = 0.4
    """Share of them that is kept: those most like photos of a place."""
    fov_deg: tuple[float, float] = (34.0, 88.0)
    """Range of the field of view along the longer side."""
    redecorated: float = 0.8
    """Share of the worlds with materials, colors and lights changed at random."""
    strangers: float = 0.7
    """Share of the worlds with invented objects."""
    pool_worlds: int = 640
    """Worlds kept on the device at a time."""
    reuse: float = 7.0
    """How often each view is drawn into a batch, on average, before newer ones replace it."""
    known_lens: float = 0.5
    """Share of the samples whose lens the network is told."""
    held_out: bool = False
    """Worlds that training never draws, to score with."""

    @staticmethod
    def toy() -> DepthDataConfig:
        """A few tiny samples, for tests and for a look at the pipeline on a CPU."""
        return DepthDataConfig(
            kinds=("rooms", "maze"),
            sizes=((64, 48), (48, 64)),
            size_shares=(0.5, 0.5),
            views=6,
            pool_worlds=4,
        )

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds:
            raise ConfigError(f"kinds must be some of {list(KINDS)}, got {list(self.kinds)}")
        if len(self.sizes) != len(self.size_shares) or not self.sizes:
            raise ConfigError(
                f"size_shares needs one number for each of sizes: got {len(self.size_shares)} "
                f"for {len(self.sizes)}"
            )
        if any(side < STRIDE or side % STRIDE for size in self.sizes for side in size):
            raise ConfigError(f"sizes must be multiples of {STRIDE}, got {self.sizes}")
        shares = (self.kept, self.redecorated, self.strangers, self.known_lens)
        if min(self.size_shares) <= 0 or not all(0 <= share <= 1 for share in shares):
            raise ConfigError("shares must be within 0…1, and those of sizes positive")
        if not 0 < self.fov_deg[0] <= self.fov_deg[1] < 170:
            raise ConfigError(f"fov_deg must rise within 0…170, got {self.fov_deg}")
        if self.pool_worlds < len(self.sizes) or self.reuse <= 0 or self.views * self.kept < 1:
            raise ConfigError(
                f"pool_worlds must be at least {len(self.sizes)}, one per size, reuse positive, "
                f"and some views kept; got {self.pool_worlds}, {self.reuse} and "
                f"{self.views} · {self.kept}"
            )


@dataclass(frozen=True, slots=True)
class DepthJob:
    """One world and V planned views of it.

    Attributes:
        packed: The scene, for the ray casters.
        c2w: float32 [V, 4, 4].
        intrinsics: float32 [V, 4].
        size: Index into `DepthDataConfig.sizes`.
    """

    packed: PackedScenes
    c2w: FloatArray
    intrinsics: FloatArray
    size: int


def make_depth_job(config: DepthDataConfig, *, seed: int, index: int) -> DepthJob:
    """Make the job of a given index; a pure function of its arguments."""
    rng = np.random.default_rng([seed, index, int(config.held_out)])
    for _ in range(_TRIES - 1):
        with contextlib.suppress(SourceError):  # no room for cameras: take another world
            return _try_job(config, rng, index)
    return _try_job(config, rng, index)


def _try_job(config: DepthDataConfig, rng: _Rng, index: int) -> DepthJob:
    """Make a job of the next world that `rng` comes up with."""
    edges = np.cumsum(config.size_shares) / np.sum(config.size_shares)
    size = min(int(np.searchsorted(edges, (index * _GOLDEN) % 1.0, "right")), len(edges) - 1)
    width, height = config.sizes[size]
    first = TRAINING_SEEDS if config.held_out else 0
    scene = build_scene(
        config.kinds[index % len(config.kinds)], seed=first + int(rng.integers(TRAINING_SEEDS))
    )
    if rng.random() < config.strangers:
        scene = with_strangers(scene, rng)
    if rng.random() < config.redecorated:
        scene = redecorated(scene, rng)
    c2w, _ = plan_places(scene, rng, places=config.views, views=1, width=width, height=height)
    return DepthJob(
        packed=pack_scene(scene),
        c2w=_tilted(c2w[:, 0], rng),
        intrinsics=_plan_lenses(rng, config, width, height),
        size=size,
    )


def redecorated(scene: Scene, rng: _Rng) -> Scene:
    """The same shapes of other materials and colors, in another light."""
    # A surface is what has one look: the walls of a room, the boards of a shelf.
    look = np.column_stack(
        [
            scene.instance * (rng.random() < 0.8),
            scene.material,
            (scene.color * 255).astype(np.int64) @ [1, 256, 65536],
        ]
    )
    _, surface = np.unique(look, axis=0, return_inverse=True)
    surface = surface.reshape(-1)
    count = int(surface.max()) + 1
    recolored = (rng.random(count) < rng.uniform(0.2, 1.0))[surface, None]
    remade = (rng.random(count) < rng.uniform(0.0, 0.9))[surface]
    remade &= ~np.isin(scene.material, _UNSHADED)
    color, accent = _colors(rng, count)[surface], _colors(rng, count)[surface]
    scale = scene.scale * np.exp(rng.normal(0.0, 0.5, count))[surface]
    fresh = np.exp(rng.uniform(np.log(0.08), np.log(1.5), count))[surface]
    lights = len(scene.light_range)
    power = np.exp(rng.normal(0.0, 0.7, (lights, 1))) * (rng.random((lights, 1)) < 0.85)
    tint = np.exp(rng.normal(0.0, 0.15, 3))
    tints = tint * np.exp(rng.normal(0.0, 0.1, (lights, 3)))
    return replace(
        scene,
        material=np.where(remade, rng.choice(_SURFACES, count)[surface], scene.material).astype(
            np.int32
        ),
        color=np.where(recolored, color, scene.color).astype(np.float32),
        accent=np.where(recolored, accent, scene.accent).astype(np.float32),
        scale=np.where(remade, fresh, scale).astype(np.float32),
        light_color=(scene.light_color * power * tints).astype(np.float32),
        ambient=(scene.ambient * np.exp(rng.normal(0.1, 0.5)) * tint).astype(np.float32),
    )


def with_strangers(scene: Scene, rng: _Rng) -> Scene:
    """The scene with things in it that no generator of worlds would put there."""
    rects = scene.floor_rects.astype(np.float64)
    if not len(rects):
        return scene
    area = (rects[:, 2] - rects[:, 0]) * (rects[:, 3] - rects[:, 1])
    things = int(np.clip(rng.integers(1, 4) + area.sum() / 7, 1, 40))
    parts = [
        _thing(rng, rects[rng.choice(len(rects), p=area / area.sum())], scene.height)
        for _ in range(things)
    ]
    shape, center, rotation, half_size, owner = (
        np.concatenate([part[i] for part in parts])
        if i < 4
        else np.repeat(np.arange(things), [len(part[0]) for part in parts])
        for i in range(5)
    )
    count = len(shape)
    alike = rng.random(things) < 0.5  # all parts of a thing alike, or each its own
    kind = np.where(alike[owner], owner, things + np.arange(count))
    color, accent = _colors(rng, things + count)[kind], _colors(rng, things + count)[kind]
    material = rng.choice(_SURFACES, things + count)[kind]
    first = int(scene.instance.max(initial=0)) + 1
    period = np.exp(rng.uniform(np.log(0.05), np.log(1.0), things + count))[kind]

    def joined(old: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([old, new.astype(old.dtype)])

    return replace(
        scene,
        shape=joined(scene.shape, shape),
        center=joined(scene.center, center),
        rotation=joined(scene.rotation, rotation),
        half_size=joined(scene.half_size, half_size),
        material=joined(scene.material, material),
        color=joined(scene.color, color),
        accent=joined(scene.accent, accent),
        scale=joined(scene.scale, period),
        seed=joined(scene.seed, rng.integers(1 << 32, size=count, dtype=np.uint32)),
        instance=joined(scene.instance, first + owner),
    )


def _thing(
    rng: _Rng, rect: NDArray[np.float64], room_height: float
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shapes, centers, rotations and half sizes of the parts of one thing somewhere on a floor."""
    parts = int(rng.integers(1, 4) if rng.random() < 0.5 else rng.integers(4, 16))
    extent = np.exp(rng.uniform(np.log(0.15), np.log(1.1), 3))  # half of the thing's, metres
    extent[2] = min(extent[2], 0.45 * room_height)
    shape = rng.choice([Shape.BOX, Shape.CYLINDER, Shape.ELLIPSOID], parts, p=[0.45, 0.35, 0.2])
    if parts <= 3:
        half = extent * rng.uniform(0.5, 1.0, (parts, 3))
        offset = rng.uniform(-0.4, 0.4, (parts, 3)) * extent
    else:
        half = extent * np.exp(rng.uniform(np.log(0.04), np.log(0.6), (parts, 3)))
        thin = rng.random(parts) < 0.45  # bars and tubes
        radius = np.exp(rng.uniform(np.log(0.008), np.log(0.035), parts))
        half[thin, :2] = radius[thin, None]
        half[thin, 2] = (extent.max() * rng.uniform(0.3, 1.0, parts))[thin]
        wheel = ~thin & (rng.random(parts) < 0.15)
        half[wheel, :2] = (extent.min() * rng.uniform(0.3, 0.9, parts))[wheel, None]
        half[wheel, 2] = 0.04
        offset = rng.uniform(-0.8, 0.8, (parts, 3)) * extent
    rotation = np.tile(np.eye(3), (parts, 1, 1))
    turned = rng.random(parts) < rng.choice([0.0, 0.3, 1.0])
    rotation[turned] = _rotations(rng, int(turned.sum()))
    yaw = rng.uniform(-np.pi, np.pi)
    about_z = np.array(
        [[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]]
    )
    rotation, offset = about_z @ rotation, offset @ about_z.T
    reach = np.einsum("pij,pj->pi", np.abs(rotation), half)
    low = (offset - reach)[:, 2].min()
    lift = 0.0 if rng.random() < 0.8 else rng.uniform(0.0, 0.6 * room_height)
    center = offset + [rng.uniform(rect[0], rect[2]), rng.uniform(rect[1], rect[3]), lift - low]
    return shape, center, rotation, half


def _rotations(rng: _Rng, count: int) -> NDArray[np.float64]:
    """Rotations, all alike probable, [count, 3, 3]."""
    q = rng.normal(size=(count, 4))
    w, x, y, z = (q / np.linalg.norm(q, axis=1, keepdims=True)).T
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        axis=1,
    )


def _colors(rng: _Rng, count: int) -> NDArray[np.float64]:
    """Linear colors, mostly muted, from near black to white, [count, 3]."""
    value = rng.beta(1.2, 1.2, (count, 1))
    saturation = rng.beta(0.8, 1.6, (count, 1))
    hue = rng.random((count, 3))
    hue /= hue.max(axis=1, keepdims=True)
    return np.asarray((value * (1 - saturation * (1 - hue))) ** 2.0 * 0.96 + 0.02)


def _tilted(c2w: FloatArray, rng: _Rng) -> FloatArray:
    """Cameras held by hand: pitched further, mostly down, and rolled."""
    count = len(c2w)
    pitch = rng.normal(-0.06, 0.16, count)
    roll = rng.normal(0.0, np.deg2rad(4.0), count)
    roll *= np.where(rng.random(count) < 0.06, 4.0, 1.0)
    sin, cos, one, nought = np.sin(pitch), np.cos(pitch), np.ones(count), np.zeros(count)
    about_x = np.stack([one, nought, nought, nought, cos, -sin, nought, sin, cos], -1)
    sin, cos = np.sin(roll), np.cos(roll)
    about_z = np.stack([cos, -sin, nought, sin, cos, nought, nought, nought, one], -1)
    turned = c2w.astype(np.float64)
    turned[:, :3, :3] @= about_x.reshape(-1, 3, 3) @ about_z.reshape(-1, 3, 3)
    return turned.astype(np.float32)


def _plan_lenses(rng: _Rng, config: DepthDataConfig, width: int, height: int) -> FloatArray:
    """Intrinsics [V, 4]: square pixels but for a little, principal points off the middle."""
    count = config.views
    half_fov = np.deg2rad(np.asarray(config.fov_deg)) / 2
    low, high = np.log(0.5 / np.tan(half_fov))[::-1]
    fx = max(width, height) * np.exp(rng.uniform(low, high, count))
    fy = fx * np.exp(rng.normal(0.0, 0.02, count))
    far = np.where(rng.random(count) < 0.2, 0.08, 0.01)  # crops
    cx = width * (0.5 + far * rng.normal(0.0, 1.0, count).clip(-2, 2))
    cy = height * (0.5 + far * rng.normal(0.0, 1.0, count).clip(-2, 2))
    return np.stack([fx, fy, cx, cy], axis=-1).astype(np.float32)
