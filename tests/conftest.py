"""Fixtures that several packages' tests share: a small furnished room, and a renderer for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.camera import Camera, heading_c2w, invert_rigid
from worldfm_gym.frame import Frame
from worldfm_gym.navigation import NavMap
from worldfm_gym.worlds.world import World

# Kernels compile on first use, and the same examples must run everywhere.
hypothesis.settings.register_profile("worldfm", deadline=None, derandomize=True)
hypothesis.settings.load_profile("worldfm")

ROOM = np.array([6.0, 4.0, 2.6])
SPACING = 0.05


def surface(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points on the faces of an axis-aligned box, SPACING apart."""
    axes = [
        np.arange(a + SPACING / 2, b, SPACING) if b > a else np.array([a])
        for a, b in zip(low, high, strict=True)
    ]
    faces = []
    for axis in range(3):
        for value in (low[axis], high[axis]):
            grids = [np.array([value]) if i == axis else axes[i] for i in range(3)]
            faces.append(np.stack(np.meshgrid(*grids, indexing="ij"), -1).reshape(-1, 3))
    return np.concatenate(faces)


def place(x: float, y: float, z: float, yaw: float = 0.0) -> NDArray[np.float64]:
    """A pose on the floor."""
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = x, y, z
    return pose


def make_box_room(*, walkable: bool = True) -> World:
    """A 6 × 4 × 2.6 m room from the origin, with a crate (1) and a tall cabinet (2)."""
    objects = [
        WorldObject.at_rest(1, "crate", pose=place(3.0, 2.0, 0.4), size=(0.8, 0.8, 0.8)),
        WorldObject.at_rest(2, "cabinet", pose=place(5.6, 3.4, 1.0), size=(0.6, 1.0, 2.0)),
    ]
    clouds = [surface(np.zeros(3), ROOM)]
    clouds += [surface(o.pose[:3, 3] - o.size / 2, o.pose[:3, 3] + o.size / 2) for o in objects]
    ids = np.repeat([0, 1, 2], [len(c) for c in clouds])
    points = np.concatenate(clouds)
    anchor = Anchor.from_points(
        points, (points * 37 % 256).astype(np.uint8), instance=ids, radius=SPACING / 2
    )
    return World(
        anchor=anchor,
        references=[],
        objects=objects,
        nav=NavMap.build(anchor, objects, closed=True) if walkable else None,
        nav_problem=None if walkable else "no floor was found",
        start_c2w=heading_c2w((1.0, 1.0, 1.25), 0.0),
    )


class BoxRoomRenderer:
    """Ray-casts box rooms exactly; depth to the faces of the room and of the oriented boxes."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self.worlds = list(worlds)
        self.calls = 0

    def render(
        self,
        cameras: Camera,
        scene: NDArray[np.int64],
        *,
        object_poses: NDArray[np.float64] | None = None,
    ) -> Frame:
        self.calls += 1
        rays = cameras.rays_world()
        depth = np.zeros(rays.shape[:3], np.float32)
        instance = np.zeros(rays.shape[:3], np.int32)
        for b, s in enumerate(scene):
            origin = cameras.position_world[b]
            with np.errstate(divide="ignore", invalid="ignore"):
                far = np.where(rays[b] > 0, ROOM - origin, -origin) / rays[b]
            depth[b] = np.nanmin(far, axis=-1)
            for k, item in enumerate(self.worlds[s].objects):
                pose = item.pose if object_poses is None else object_poses[s, k]
                hit = box_entry(pose, item.size, origin, rays[b])
                nearer = hit < depth[b]
                depth[b][nearer], instance[b][nearer] = hit[nearer], item.instance
        shade = (255 / (1 + depth)).astype(np.uint8)
        rgb = np.stack([shade, (instance * 80).astype(np.uint8), 255 - shade], axis=-1)
        return Frame(rgb, depth, instance, np.ones(depth.shape, np.uint8), cameras)


def box_entry(
    pose: NDArray[np.float64],
    size: NDArray[np.float64],
    origin: NDArray[np.float64],
    rays: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Ray parameter at which rays [..., 3] enter an oriented box; infinite where they miss it."""
    world_to_box = invert_rigid(pose)
    start = world_to_box[:3, :3] @ origin + world_to_box[:3, 3]
    way = rays @ world_to_box[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (-size / 2 - start) / way, (size / 2 - start) / way
    enter, leave = np.minimum(a, b).max(-1), np.maximum(a, b).min(-1)
    return np.where((enter < leave) & (enter > 0), enter, np.inf)


@pytest.fixture
def box_room() -> World:
    return make_box_room()


@pytest.fixture
def roofless_room() -> World:
    """The same room without a navigation map."""
    return make_box_room(walkable=False)


@pytest.fixture(scope="session")
def box_room_renderer() -> Callable[[Sequence[World]], BoxRoomRenderer]:
    """A renderer factory for box rooms."""
    return BoxRoomRenderer


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect GPU tests where there is no GPU."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        config.hook.pytest_deselected(items=on_gpu)
        items[:] = [item for item in items if item not in on_gpu]
