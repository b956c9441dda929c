"""Collision response: never inside, never through, exact where free, the same every time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldfm_gym.anchor.cloud import Anchor
from worldfm_gym.anchor.objects import WorldObject
from worldfm_gym.errors import NavigationError
from worldfm_gym.navigation import NavMap, move_discs, move_spheres, object_boxes

RADIUS_M = 0.18
CELL_M = 0.05
SKIN_M = 0.1 * CELL_M
STATIC_TOLERANCE_M = 0.5 * CELL_M + SKIN_M

angles = st.floats(-np.pi, np.pi)
lengths = st.one_of(st.floats(0.0, 0.5), st.floats(0.5, 100.0))
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Anchor]) -> NavMap:
    """A room of 4 × 4 m without obstacles."""
    return NavMap.build(make_room(4, 4), closed=True)


def crate(
    x: float, y: float, yaw: float = 0.0, size: tuple[float, ...] = (0.8, 0.4, 1.0)
) -> np.ndarray:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:3, 3] = x, y, size[2] / 2
    return object_boxes(pose[None], np.array([size]))


def rectangle_gap(box: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Distance of points [N, 2] to a packed box's rectangle, by clamping in its frame."""
    axes = np.array([[box[15], box[16]], [-box[16], box[15]]])
    local = (xy - box[:2]) @ axes.T
    return np.linalg.norm(local - np.clip(local, -box[17:19], box[17:19]), axis=-1)


def starts(nav: NavMap, seed: int, boxes: np.ndarray, count: int = 20) -> np.ndarray:
    """Free points, clear of boxes."""
    points = nav.random_point(np.random.default_rng(seed), count=count * 4)
    clear = np.all([rectangle_gap(box, points) >= RADIUS_M for box in boxes], axis=0)
    return points[clear][:count]


def polar(angle: float, length: float) -> np.ndarray:
    return length * np.array([np.cos(angle), np.sin(angle)])


# Discs


@settings(deadline=None)
@given(seeds, angles, lengths, angles, st.booleans())
def test_a_disc_never_ends_inside_a_wall_or_box(
    room: NavMap, seed: int, angle: float, length: float, yaw: float, slide: bool
) -> None:
    boxes = np.concatenate([crate(1.2, 1.4, yaw), crate(2.8, 2.6, -yaw, (0.05, 1.0, 1.0))])
    start = starts(room, seed, boxes)
    end, _ = move_discs(
        room, start, np.tile(polar(angle, length), (len(start), 1)), slide=slide, boxes=boxes
    )
    for box in boxes:
        assert rectangle_gap(box, end).min() >= RADIUS_M - SKIN_M - 1e-6
    to_wall = np.minimum(end, 4 - end).min()
    assert to_wall >= RADIUS_M - STATIC_TOLERANCE_M


@settings(deadline=None)
@given(seeds, angles, lengths, st.booleans())
def test_a_disc_never_tunnels(
    room: NavMap, seed: int, angle: float, length: float, slide: bool
) -> None:
    fence = crate(2.0, 2.0, 0.0, (0.01, 5.0, 1.0))  # a centimetre thick, wall to wall
    start = starts(room, seed, fence)
    end, _ = move_discs(
        room, start, np.tile(polar(angle, length), (len(start), 1)), slide=slide, boxes=fence
    )
    np.testing.assert_array_equal(end[:, 0] > 2, start[:, 0] > 2)


@settings(deadline=None)
@given(seeds, angles, st.floats(0, 0.3))
def test_motion_in_free_space_is_exact(
    room: NavMap, seed: int, angle: float, length: float
) -> None:
    start = 1.0 + 2.0 * np.random.default_rng(seed).random((10, 2))
    delta = np.tile(polar(angle, length), (10, 1))
    for slide in (False, True):
        end, collided = move_discs(room, start, delta, slide=slide)
        np.testing.assert_array_equal(end, start + delta)
        assert not collided.any()


@settings(deadline=None)
@given(seeds, angles, lengths, angles)
def test_sliding_goes_at_least_as_far_as_stopping_and_no_farther_than_asked(
    room: NavMap, seed: int, angle: float, length: float, yaw: float
) -> None:
    boxes = crate(2.0, 2.0, yaw)
    start = starts(room, seed, boxes)
    delta = np.tile(polar(angle, length), (len(start), 1))
    stopped, stop_hit = move_discs(room, start, delta, slide=False, boxes=boxes)
    slid, slide_hit = move_discs(room, start, delta, slide=True, boxes=boxes)
    direction = polar(angle, 1.0)
    assert ((slid - start) @ direction >= (stopped - start) @ direction - 1e-9).all()
    assert (np.linalg.norm(slid - start, axis=1) <= length + 1e-6).all()
    np.testing.assert_array_equal(stop_hit, slide_hit)


@settings(deadline=None)
@given(seeds, angles, lengths)
def test_collided_means_altered(room: NavMap, seed: int, angle: float, length: float) -> None:
    boxes = crate(2.0, 2.0, 0.4)
    start = starts(room, seed, boxes)
    delta = np.tile(polar(angle, length), (len(start), 1))
    end, collided = move_discs(room, start, delta, slide=False, boxes=boxes)
    np.testing.assert_array_equal(end[~collided], (start + delta)[~collided])
    assert (np.linalg.norm(end - start, axis=1)[collided] < length).all()


@settings(deadline=None)
@given(seeds)
def test_standing_still_never_collides(room: NavMap, seed: int) -> None:
    anywhere = np.random.default_rng(seed).uniform(-1, 5, (20, 2))  # in walls and outside too
    end, collided = move_discs(room, anywhere, np.zeros((20, 2)), slide=True, boxes=crate(2, 2))
    np.testing.assert_array_equal(end, anywhere)
    assert not collided.any()


@settings(deadline=None)
@given(seeds, angles, lengths, st.booleans())
def test_each_agent_moves_as_if_alone_and_always_the_same(
    room: NavMap, seed: int, angle: float, length: float, slide: bool
) -> None:
    boxes = crate(2.0, 2.0, 0.7)
    start = starts(room, seed, boxes)
    delta = np.tile(polar(angle, length), (len(start), 1))
    together, hits = move_discs(room, start, delta, slide=slide, boxes=boxes)
    for i in range(len(start)):
        alone, hit = move_discs(room, start[i : i + 1], delta[i : i + 1], slide=slide, boxes=boxes)
        np.testing.assert_array_equal(alone[0], together[i])
        assert hit[0] == hits[i]


@settings(deadline=None)
@given(angles, st.floats(0.0, 0.35), st.floats(0.05, 1.0), st.booleans())
def test_an_agent_under_a_box_gets_out_but_not_deeper(
    room: NavMap, angle: float, offset: float, length: float, slide: bool
) -> None:
    box = crate(2.0, 2.0)
    start = np.array([[2.0 + offset, 2.15]])
    end, _ = move_discs(room, start, polar(angle, length)[None], slide=slide, boxes=box)

    def depth(xy: np.ndarray) -> float:
        return float((np.abs(xy[0] - 2.0) - [0.4, 0.2]).max())

    assert min(depth(end), 0) >= min(depth(start), 0) - 1e-6
    out, _ = move_discs(room, start, np.array([[0.0, 1.0]]), slide=slide, boxes=box)
    np.testing.assert_array_equal(out, start + np.array([0.0, 1.0]))


def test_stopping_ends_at_contact(room: NavMap) -> None:
    box = crate(2.0, 2.0)  # its near face lies at y = 1.8
    end, collided = move_discs(room, [[2.0, 1.0]], [[0.0, 5.0]], slide=False, boxes=box)
    assert collided[0]
    np.testing.assert_allclose(end, [[2.0, 1.8 - RADIUS_M]], atol=SKIN_M + 1e-5)


def test_sliding_keeps_the_motion_along_the_face(room: NavMap) -> None:
    wall = crate(2.0, 3.0, 0.0, (4.0, 0.2, 1.0))
    end, collided = move_discs(room, [[1.0, 2.7]], [[1.0, 1.0]], slide=True, boxes=wall)
    assert collided[0]
    np.testing.assert_allclose(end, [[2.0, 2.9 - RADIUS_M]], atol=2 * SKIN_M)


def test_sliding_into_a_corner_stays_there(room: NavMap) -> None:
    end, collided = move_discs(room, [[1.0, 1.0]], [[-9.0, -8.0]], slide=True)
    assert collided[0]
    np.testing.assert_allclose(end, [[RADIUS_M, RADIUS_M]], atol=2 * STATIC_TOLERANCE_M)


def test_boxes_above_the_head_or_below_the_step_do_not_block(room: NavMap) -> None:
    lamp, rug = crate(2, 2), crate(2, 2, size=(1.0, 1.0, 0.1))
    lamp[:, 19:21] = 1.6, 2.0
    for box in (lamp, rug):
        _, collided = move_discs(room, [[2.0, 1.0]], [[0.0, 2.0]], slide=False, boxes=box)
        assert not collided[0]


def test_without_boxes_the_map_s_own_objects_block(
    make_room: Callable[..., Anchor], make_object: Callable[..., WorldObject]
) -> None:
    nav = NavMap.build(make_room(4, 4), [make_object(1, (2, 2, 0.5), (1, 1, 1))], closed=True)
    assert move_discs(nav, [[2.0, 1.0]], [[0.0, 2.0]], slide=False)[1][0]
    empty = object_boxes([])
    assert not move_discs(nav, [[2.0, 1.0]], [[0.0, 2.0]], slide=False, boxes=empty)[1][0]


@pytest.mark.parametrize(
    ("xy", "delta", "reason"),
    [
        ([[np.nan, 1.0]], [[0.0, 0.0]], "finite"),
        ([[1.0, 1.0]], [[np.inf, 0.0]], "finite"),
        ([[1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], "both"),
        ([1.0, 1.0], [0.0, 0.0], "both"),
        ([[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]], "both"),
    ],
)
def test_bad_positions_and_motions_are_refused(
    room: NavMap, xy: list[float], delta: list[float], reason: str
) -> None:
    with pytest.raises(NavigationError, match=reason):
        move_discs(room, xy, delta, slide=True)


def test_unpacked_boxes_are_refused(room: NavMap) -> None:
    with pytest.raises(NavigationError, match="object_boxes"):
        move_discs(room, [[1, 1]], [[0, 0]], slide=True, boxes=np.zeros((1, 5)))


# Spheres

SPHERE_M = 0.12
directions = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)).filter(
    lambda d: np.linalg.norm(d) > 0.1
)


def box_gap(box: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Distance of points [N, 3] to a packed box."""
    local = (position - box[:3]) @ box[6:15].reshape(3, 3)
    return np.linalg.norm(local - np.clip(local, -box[3:6], box[3:6]), axis=-1)


def cruise(seed: int, boxes: np.ndarray) -> np.ndarray:
    """Points of a 4 × 4 × 2.4 m room, clear of boxes."""
    low, high = SPHERE_M + 0.06, np.array([4, 4, 2.4]) - SPHERE_M - 0.06
    points = np.random.default_rng(seed).uniform(low, high, (60, 3))
    return points[np.all([box_gap(box, points) >= SPHERE_M for box in boxes], axis=0)][:20]


@settings(deadline=None)
@given(seeds, directions, lengths, angles, st.booleans())
def test_a_sphere_never_ends_inside_or_outside_the_room(
    room: NavMap, seed: int, direction: tuple[float, ...], length: float, yaw: float, slide: bool
) -> None:
    boxes = np.concatenate([crate(1.3, 1.4, yaw), crate(2.8, 2.6, -yaw, (0.02, 1.0, 2.0))])
    start = cruise(seed, boxes)
    delta = np.tile(np.array(direction) / np.linalg.norm(direction) * length, (len(start), 1))
    end, collided = move_spheres(room, start, delta, radius_m=SPHERE_M, slide=slide, boxes=boxes)
    for box in boxes:
        assert box_gap(box, end).min() >= SPHERE_M - SKIN_M - 1e-6
    assert np.minimum(end, [4, 4, 2.4] - end).min() >= SPHERE_M - STATIC_TOLERANCE_M
    np.testing.assert_array_equal(end[~collided], (start + delta)[~collided])
    assert (np.linalg.norm(end - start, axis=1) <= length + 1e-6).all()


@settings(deadline=None)
@given(seeds, directions, lengths)
def test_sliding_spheres_go_at_least_as_far(
    room: NavMap, seed: int, direction: tuple[float, ...], length: float
) -> None:
    boxes = crate(2.0, 2.0, 0.5)
    start = cruise(seed, boxes)
    unit = np.array(direction) / np.linalg.norm(direction)
    delta = np.tile(unit * length, (len(start), 1))
    stopped, _ = move_spheres(room, start, delta, radius_m=SPHERE_M, slide=False, boxes=boxes)
    slid, _ = move_spheres(room, start, delta, radius_m=SPHERE_M, slide=True, boxes=boxes)
    assert ((slid - stopped) @ unit >= -1e-9).all()


def test_a_sphere_slides_over_the_floor(room: NavMap) -> None:
    end, collided = move_spheres(
        room, [[1.0, 2.0, 0.5]], [[1.0, 0.0, -1.0]], radius_m=SPHERE_M, slide=True
    )
    assert collided[0]
    np.testing.assert_allclose(end, [[2.0, 2.0, SPHERE_M]], atol=STATIC_TOLERANCE_M)


def test_a_sphere_passes_over_a_crate_that_stops_a_disc(room: NavMap) -> None:
    box = crate(2.0, 2.0)
    start, delta = [[2.0, 1.0, 1.5]], [[0.0, 2.0, 0.0]]
    assert not move_spheres(room, start, delta, radius_m=SPHERE_M, slide=False, boxes=box)[1][0]
    assert move_discs(room, [[2.0, 1.0]], [[0.0, 2.0]], slide=False, boxes=box)[1][0]


def test_unknown_space_stops_a_sphere_unless_asked_otherwise(
    make_room: Callable[..., Anchor],
) -> None:
    anchor = make_room(4, 4)
    no_ceiling = anchor[anchor.points[:, 2] < 2.0]
    nav = NavMap.build(no_ceiling)  # free up to body height only
    start, delta = [[2.0, 2.0, 1.0]], [[0.0, 0.0, 1.0]]
    end, hit = move_spheres(nav, start, delta, radius_m=SPHERE_M, slide=False)
    assert hit[0]
    assert end[0, 2] == pytest.approx(1.5 - SPHERE_M, abs=CELL_M)
    end, hit = move_spheres(
        nav, start, delta, radius_m=SPHERE_M, slide=False, unknown_is_solid=False
    )
    assert not hit[0]


@pytest.mark.parametrize("radius_m", [0.0, -0.1, 5.0, float("nan")])
def test_impossible_radii_are_refused(room: NavMap, radius_m: float) -> None:
    with pytest.raises(NavigationError, match="radius_m"):
        move_spheres(room, [[2, 2, 1]], [[0, 0, 0]], radius_m=radius_m, slide=True)
