"""Sensors: the pieces an observation is put together from."""

from worldfm_envs.sensors.base import POSITION_LIMIT_M, Sensor, SensorInput
from worldfm_envs.sensors.catalog import SENSORS, make_sensors

__all__ = ["POSITION_LIMIT_M", "SENSORS", "Sensor", "SensorInput", "make_sensors"]
