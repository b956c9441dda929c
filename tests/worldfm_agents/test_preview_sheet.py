import numpy as np
import pytest

from worldfm_agents.preview_sheet import preview_sheet
from worldfm_gym import make_world


@pytest.fixture(params=[0, 1], ids=["no frames", "frames"])
def sheet(request) -> np.ndarray:
    world = make_world("rooms", seed=0, spacing_m=0.15, references=request.param)
    world.anchor.generated[world.anchor.points[:, 0] < world.anchor.points[:, 0].mean()] = True
    return preview_sheet(world)


def panel(sheet: np.ndarray, index: int) -> np.ndarray:
    """A panel without its caption."""
    row, column = divmod(index, 3)
    return sheet[4 + 244 * row :, 4 + 324 * column :][:205, :320].astype(int)


def test_every_panel_shows_something_else(sheet):
    panels = [panel(sheet, i) for i in range(9)]
    assert sheet.shape == (3 * 244 + 4, 3 * 324 + 4, 3)
    for i, picture in enumerate(panels):
        assert picture.std() > 8, i
        assert all(np.abs(picture - other).mean() > 5 for other in panels[:i]), i


def test_provenance_splits_the_map(sheet):
    """The half of the place with smaller x, left on the map, was marked as generated."""
    origin = panel(sheet, 8)
    drawn = np.ptp(origin, axis=-1) > 20
    columns = np.flatnonzero(drawn.any(axis=0))
    left, right = np.array_split(columns, 2)
    red, green = origin[..., 0], origin[..., 1]
    assert (red > green)[:, left][drawn[:, left]].mean() > 0.8
    assert (green > red)[:, right][drawn[:, right]].mean() > 0.8
