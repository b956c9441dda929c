import warnings

import pytest

from worldfm_gym.user_warnings import warn_user


def test_a_warning_points_at_the_caller_outside_of_the_package():
    with pytest.warns(UserWarning, match="mind the floor") as caught:
        warn_user("mind the floor")
    assert caught[0].filename == __file__


def test_a_warning_passes_over_frames_of_the_package():
    inside = {"__name__": "worldfm_gym.worlds.photo", "warn_user": warn_user}
    exec("def build():\n    warn_user('deep')\n", inside)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        inside["build"]()
    assert caught[0].filename == __file__
