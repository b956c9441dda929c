import numpy as np
import pytest

from worldfm_agents.pictures import PAPER, panel, provenance_picture


def test_provenance_is_told_by_color_and_the_picture_by_brightness():
    rgb = np.array([[[255, 255, 255], [0, 0, 0]]] * 3, np.uint8)
    drawn = provenance_picture(rgb, np.array([[0, 0], [1, 1], [2, 2]], np.uint8)).astype(int)
    assert not drawn[0].any()
    assert (drawn[1, :, 1] > drawn[1, :, 0]).all()  # seen: green
    assert (drawn[2, :, 0] > drawn[2, :, 2] + 40).all()  # generated: orange
    assert (drawn[1:, 0].sum(-1) > 2 * drawn[1:, 1].sum(-1)).all()


@pytest.mark.parametrize("size", [(200, 50), (20, 90), (64, 48)])
def test_a_panel_keeps_the_shape_of_its_picture(size):
    picture = np.full((*size, 3), 250, np.uint8)
    drawn = panel(picture, "", width=128, height=96)
    assert drawn.shape == (96, 128, 3)
    rows, columns = np.nonzero((drawn == 250).all(-1))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height / width == pytest.approx(size[0] / size[1], rel=0.05)
    assert max(height / 96, width / 128) == 1.0
    outside = drawn[(drawn != 250).all(-1)]
    assert (outside == PAPER).all()


def test_a_caption_is_written_on_the_lower_edge():
    plain, named = (
        panel(np.full((96, 128, 3), 250, np.uint8), words, width=128, height=96)
        for words in ("", "points")
    )
    changed = (plain != named).any(-1)
    assert changed[76:].mean() > 0.2
    assert not changed[:70].any()
