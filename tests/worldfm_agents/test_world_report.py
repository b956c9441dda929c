import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from worldfm_agents.world_report import world_table
from worldfm_gym.worlds.world import Reference, World

PHOTO = {
    "kind": "photo",
    "name": "hall.jpg",
    "photo_size": [4000, 3000],
    "depth": "estimated by built-in",
    "fov_x_deg": 66.66,
    "fov_from": "EXIF",
    "camera_height_m": 1.234,
    "floor_from": "seen",
    "scale": 0.5,
    "scale_from": "the camera's height, given",
    "warnings": ["the picture is dark", "the floor is small"],
}


def told(world: World) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(world_table(world))
    return console.file.getvalue()


def test_what_a_photo_did_not_say_is_told_with_its_origin(box_room):
    shown = told(replace(box_room, source=PHOTO))
    for words in (
        "photo · hall.jpg · 4000×3000 pixels",
        "estimated by built-in",
        "66.7° wide, EXIF",
        "1.23 m above the floor, seen",
        "the camera's height, given (×0.50)",
    ):
        assert words in shown
    assert [line.split()[0] for line in shown.splitlines()].count("warning") == 2


def test_a_scan_whose_poses_were_found(box_room):
    source = {"kind": "scan", "name": "attic", "frames": 12, "poses": "odometry", "loops": 5}
    shown = told(replace(box_room, source=source))
    assert "scan · attic · 12 frames" in shown
    assert "found by odometry, 5 loops closed" in shown


@pytest.mark.parametrize(("count", "words"), [(0, "none"), (2, "2, 1 of them generated")])
def test_references_say_which_were_drawn(box_room, count, words):
    blank = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.float32)
    references = [Reference(*blank, None, generated=i == 1) for i in range(count)]
    line = next(
        text
        for text in told(replace(box_room, references=references)).splitlines()
        if text.startswith("references")
    )
    assert line.removeprefix("references").strip() == words


def test_objects_are_told_with_the_sizes_of_the_largest(box_room):
    shown = told(box_room)
    assert "2 (2 movable): 1 crate, 1 cabinet" in shown
    assert "the largest 0.60 × 1.00 × 2.00, 0.80 × 0.80 × 0.80 m" in shown
