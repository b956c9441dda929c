"""A photo becomes a place: depth is estimated, a floor is found, and an agent walks into it.

You learn what make_world finds in a photo that comes with nothing else, where it records its
guesses, and how to correct them. Takes the path of your own photo as an argument; without one, it
takes the bundled photo of a garage. Writes out/05_world (the world) and out/05_walk.mp4.
"""

import sys
from pathlib import Path

import gymnasium as gym

import worldfm_gym  # noqa: F401  (importing it registers the environments)
from worldfm_agents.recording import Recorder
from worldfm_agents.rollout import rollout
from worldfm_agents.scripted import ShortestPathAgent
from worldfm_gym import AgentBody, make_world
from worldfm_gym.data import GARAGE


def main(photo: Path) -> None:
    # A small robot fits where a person may not. Say camera_height_m= or fov_x_deg= if you know
    # them: that is what the guesses below depend on most.
    body = AgentBody(radius_m=0.1, height_m=0.4, step_height_m=0.05)
    world = make_world(photo, body=body)
    for guess in ("fov_x_deg", "fov_from", "camera_height_m", "scale_from", "warnings"):
        print(f"{guess:16} {world.source[guess]}")
    for item in world.objects:
        print(f"object {item.instance} is {' × '.join(f'{side:.2f}' for side in item.size)} m")
    print(f"free floor: {world.require_nav().known_free.sum() * 0.05**2:.1f} m²")
    Path("out").mkdir(exist_ok=True)
    world.save("out/05_world", overwrite=True)
    # world = world.expand(seed=0) would let the frame model continue the place all around.

    env = gym.make(
        "WorldFM/PointNav-v0",
        world=world,
        camera_height_m=0.3,
        goal_distance_m=(0.5, 6.0),
        width=128,
        height=96,
        max_episode_steps=60,
    )
    agent = ShortestPathAgent(env)
    with Recorder(env, video="out/05_walk.mp4", title=photo.stem) as recorder:
        (result,) = rollout(env, agent, episodes=1, seed=0, on_frame=recorder)
    print(f"success {result.info['success']}, SPL {result.info['spl']:.2f}; see out/05_walk.mp4")
    env.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GARAGE / "photo.jpg")
