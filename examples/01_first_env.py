"""First environment: make one, step it, and read what an agent gets.

You learn the Gymnasium loop on a procedural apartment: what the observation holds, what actions
mean, and how success is measured. The shortest-path agent knows the map; yours will not.
"""

import gymnasium as gym

import worldfm_gym  # noqa: F401  (importing it registers the environments)
from worldfm_agents.scripted import ShortestPathAgent


def main() -> None:
    env = gym.make("WorldFM/PointNav-v0", world="rooms", world_seed=0)
    observation, info = env.reset(seed=3)
    for name, value in observation.items():
        print(f"{name:13} {value.dtype!s:8} {value.shape}")
    distance, angle = observation["pointgoal"]
    print(f"the goal is {distance:.1f} m away, {angle:+.2f} rad to the left of straight ahead")

    agent = ShortestPathAgent(env)
    total, ended = 0.0, False
    while not ended:
        action = agent.act(observation, info)  # 0 stop, 1 forward, 2 left, 3 right
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        ended = terminated or truncated
    print(f"reward {total:.2f}, success {info['success']}, SPL {info['spl']:.2f}")
    env.close()


if __name__ == "__main__":
    main()
