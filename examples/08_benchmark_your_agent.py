"""Benchmark your agent: play a fixed set of episodes, and say how sure the result is.

You learn what a suite is, how to let an agent of your own play it, and how to draw a set of
episodes for worlds of your own. The same from a shell: worldfm-gym bench, worldfm-gym episodes.
"""

from collections.abc import Mapping
from typing import Any

import worldfm_gym  # noqa: F401  (importing it registers the environments)
from worldfm_agents.benchmark import play
from worldfm_agents.benchmark_report import leaderboard, results
from worldfm_envs.episode_set import EpisodeSet
from worldfm_envs.suites import generate_episodes

FORWARD, LEFT, RIGHT = 1, 2, 3


class TurnAwayAgent:
    """Heads for the goal, and turns to the left as long as something is near straight ahead."""

    def act(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> int:
        """Called with what reset or step returned."""
        distance, angle = observation["pointgoal"]
        if distance < 0.19:
            return 0
        height, width, _ = observation["depth"].shape
        middle = observation["depth"][height // 3 : height // 2, width // 3 : -(width // 3)]
        if middle.min() < 15:  # of 255, which is 10 m
            return LEFT
        return FORWARD if abs(angle) < 0.1 else LEFT if angle > 0 else RIGHT


def main() -> None:
    suite = EpisodeSet.load("rooms-val")
    first = suite[0]
    print(f"{len(suite)} episodes; the first leads {first.geodesic_distance_m} m, {first.options}")

    mine = generate_episodes(
        "my-mazes", source="maze", seeds=[7, 8], per_world=3, config={"goal_distance_m": (1, 5)}
    )
    mine.save("out/my-mazes.json")  # EpisodeSet.load reads it, and episodes= of environments
    options = {"renderer": "anchor", "width": 64, "height": 64, "max_episode_steps": 150}
    played = list(play(mine, lambda env, number: TurnAwayAgent(), options=options))
    report = results(mine, played, agent="mine", env_id=mine.env_id, options=options)
    print(leaderboard([report]))


if __name__ == "__main__":
    main()
