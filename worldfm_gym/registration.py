"""Registration: the environment ids that `import worldfm_gym` makes known to Gymnasium."""

from __future__ import annotations

import gymnasium

MAX_EPISODE_STEPS = 500
MORE_STEPS = {"WorldFM/Explore-v0": 1000}
"""Where episodes may last longer; seeing all of an apartment takes more than 500 steps."""

ENTRY_POINTS = {
    "WorldFM/DynamicNav-v0": "worldfm_envs.dynamic_nav:DynamicNav",
    "WorldFM/Explore-v0": "worldfm_envs.explore:Explore",
    "WorldFM/FreeCamera-v0": "worldfm_envs.free_camera:FreeCamera",
    "WorldFM/ImageNav-v0": "worldfm_envs.image_nav:ImageNav",
    "WorldFM/Inspect-v0": "worldfm_envs.inspect_objects:Inspect",
    "WorldFM/ObjectNav-v0": "worldfm_envs.object_nav:ObjectNav",
    "WorldFM/PointNav-v0": "worldfm_envs.point_nav:PointNav",
}
"""By id, module and stem of the classes, ``…Env`` and ``…VectorEnv``; strings, so that the engine
imports no environment."""


def register_environments() -> None:
    """Register every id that is not registered yet."""
    for env_id, stem in ENTRY_POINTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=f"{stem}Env",
                vector_entry_point=f"{stem}VectorEnv",
                max_episode_steps=MORE_STEPS.get(env_id, MAX_EPISODE_STEPS),
            )
