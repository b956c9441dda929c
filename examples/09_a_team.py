"""A team: several agents with bodies in one world, by PettingZoo.

You learn the loop of a ParallelEnv, that agents see and meet each other as robots, and how the same
environment is stepped in turns. Writes out/09_a_team.png. Needs the extra multi-agent.
"""

import numpy as np

from worldfm_agents.video import contact_sheet, save_png
from worldfm_envs import rendezvous_v0

STAY, FORWARD, LEFT, RIGHT = range(4)
OPTIONS = {
    "world": "rooms",
    "world_seed": 3,
    "num_agents": 3,
    "start_distance_m": 2.0,
    "max_cycles": 120,
    "renderer": "anchor",
    "observations": ["rgb", "teammates", "collision"],
}


def towards_the_first(observation: dict[str, np.ndarray]) -> int:
    """Turn to the first teammate and walk; aside after contact."""
    ahead, left, *_ = observation["teammates"].reshape(-1, 5)[0]
    if observation["collision"][0]:
        return LEFT
    angle = np.arctan2(left, ahead)  # positive to the left
    return FORWARD if abs(angle) < 0.1 else LEFT if angle > 0 else RIGHT


def main() -> None:
    env = rendezvous_v0.parallel_env(render_mode="rgb_array", **OPTIONS)
    observations, infos = env.reset(seed=2)
    pictures = [env.render()]
    print(f"apart by {infos['agent_0']['mean_distance']:.2f} m on average")
    while env.agents:  # those whose episode goes on
        actions = {name: towards_the_first(observations[name]) for name in env.agents}
        actions["agent_0"] = STAY
        observations, *_, infos = env.step(actions)  # rewards, terminated, truncated between
        pictures.append(env.render())
    print(f"after {len(pictures) - 1} steps by {infos['agent_0']['mean_distance']:.2f} m")
    print(f"met: {infos['agent_0']['success']}")
    env.close()
    save_png(contact_sheet(pictures[::5], columns=1), "out/09_a_team.png")

    turns = rendezvous_v0.env(**OPTIONS)
    turns.reset(seed=2)
    for name in turns.agent_iter(max_iter=4):
        observation, reward, *_ = turns.last()
        print(f"{name}'s turn: reward {reward:.2f}, sees {list(observation)}")
        turns.step(STAY)
    turns.close()


if __name__ == "__main__":
    main()
