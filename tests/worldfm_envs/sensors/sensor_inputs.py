"""What sensors read, put together by hand."""

import numpy as np

from worldfm_envs.sensors import SensorInput


def sensor_input(simulator, frame, *, last_c2w=None, start_c2w=None, **goals):
    """What sensors read when an episode of every agent has just begun."""
    count = len(simulator.c2w)
    zeros = np.zeros(count, np.int64)
    return SensorInput(
        simulator=simulator,
        frame=frame,
        agents=np.arange(count),
        c2w=simulator.c2w,
        last_c2w=simulator.c2w if last_c2w is None else last_c2w,
        start_c2w=simulator.c2w if start_c2w is None else start_c2w,
        scene=getattr(simulator, "scene", zeros),
        collided=getattr(simulator, "collided", zeros > 0),
        step_count=zeros,
        episode_seed=zeros.astype(np.uint64),
        step_s=0.25,
        goals=goals,
    )
