"""Target rows against the object rows of the same objects."""

import numpy as np
import pytest

from tests.worldfm_envs.sensors.sensor_inputs import sensor_input
from worldfm_envs.sensors.objects import OBJECT_COLUMNS, ObjectPoseSensor
from worldfm_envs.sensors.targets import TARGET_COLUMNS, TargetSensor


@pytest.fixture
def hunt(source):
    """Agents 0 and 2 are to inspect the cabinet and the crate, agent 1 nothing."""
    return sensor_input(
        source.simulator,
        source.frame,
        goal_objects=np.array([[2, 1], [0, 0], [2, 1]]),
        goal_inspected=np.array([[True, False], [False, False], [False, True]]),
    )


def rows_of(source):
    sensor = TargetSensor(num_targets=2)
    reading = sensor.read(source)
    assert all(row in sensor.space for row in reading)
    return reading.reshape(3, 2, TARGET_COLUMNS)


def test_targets_keep_their_order_and_have_the_columns_of_objects(hunt):
    rows = rows_of(hunt)
    objects = ObjectPoseSensor(num_objects=2).read(hunt).reshape(3, 2, OBJECT_COLUMNS)
    for agent in (0, 2):
        assert rows[agent, :, 13].tolist() == [2, 1]
        for row in rows[agent]:
            match = objects[agent][objects[agent][:, 13] == row[13]][0]
            np.testing.assert_array_equal(row[:OBJECT_COLUMNS], match)
    assert rows[0, :, 14].tolist() == [1, 0]
    assert rows[2, :, 14].tolist() == [0, 1]
    assert not rows[1].any()


def test_targets_that_are_gone_leave_an_empty_row(hunt):
    hunt.simulator.set_object_present(0, 1, False)
    rows = rows_of(hunt)
    assert not rows[0, 1].any()
    assert rows[0, 0, 13] == 2
