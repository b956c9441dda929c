"""PPO on point-goal navigation: Stable-Baselines3 learns to find its way in seeded apartments.

    python -m worldfm_agents.train_ppo --steps 300000 --out out/ppo

trains on `rooms` worlds with the anchor renderer on a CPU, plays the suite `rooms-val`, whose
worlds are not among them, and writes policy, curve and figures. ``worldfm-gym bench`` plays other
suites with what it saved.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

import worldfm_gym
from worldfm_agents.benchmark import PlayedEpisode, play
from worldfm_agents.ppo_curve import draw_curve
from worldfm_agents.ppo_observations import PolarAgent, PolarVecEnv
from worldfm_agents.ppo_policy import MirrorPolicy, save_policy
from worldfm_envs.episode_set import EpisodeSet
from worldfm_envs.sb3 import WorldVecEnv


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to train and how.

    Attributes:
        out: Folder for ``policy.safetensors``, ``curve.json`` and ``curve.png``.
        steps: Steps of all environments together, at most.
        seed: Of worlds' order, episodes, initial weights and actions.
        suite: Episode set that is played at the end.
        envs: Environments stepped together.
        worlds: Number of training worlds.
        first_world: Seed of the first of them.
        image_side: Width and height of depth images.
        max_episode_steps: Length of training episodes; those of the suite have 500.
        slack_reward: In training, each step.
        success_reward: In training, for success.
        rollout: Steps of each environment between updates.
        batch: Size of minibatches.
        epochs: Passes over a rollout.
        learning_rate: At the start; falls linearly to 3 % of it.
        gamma: Discount.
        gae_lambda: Of generalized advantage estimation.
        entropy: Weight of the entropy bonus.
    """

    out: Path = Path("out/ppo")
    steps: int = 300_000
    seed: int = 0
    suite: str = "rooms-val"
    envs: int = 16
    worlds: int = 48
    first_world: int = 1000
    image_side: int = 64
    max_episode_steps: int = 300
    slack_reward: float = -0.002
    success_reward: float = 5.0
    rollout: int = 64
    batch: int = 256
    epochs: int = 4
    learning_rate: float = 1e-3
    gamma: float = 0.98
    gae_lambda: float = 0.95
    entropy: float = 0.01

    @property
    def environment(self) -> dict[str, Any]:
        """Arguments of the environment in training and in evaluation."""
        return {
            "renderer": "anchor",
            "observations": ["depth", "pointgoal", "collision"],
            "width": self.image_side,
            "height": self.image_side,
        }


def training_env(settings: Settings) -> VecNormalize:
    """Environments whose episodes take place in random worlds of a fixed pool."""
    seeds = range(settings.first_world, settings.first_world + settings.worlds)
    built = [worldfm_gym.make_world("rooms", seed=seed) for seed in seeds]
    pool = [world for world in built if world.nav is not None]
    env = WorldVecEnv(
        "WorldFM/PointNav-v0",
        settings.envs,
        world=lambda seed: pool[seed % len(pool)],
        world_seed=None,
        new_world_every=1,
        max_episode_steps=settings.max_episode_steps,
        slack_reward=settings.slack_reward,
        success_reward=settings.success_reward,
        **settings.environment,
    )
    env.seed(settings.seed)
    return VecNormalize(PolarVecEnv(env), norm_obs=False, gamma=settings.gamma, clip_reward=20.0)


def make_model(settings: Settings, env: VecNormalize) -> PPO:
    """PPO with a policy that has learned nothing."""
    return PPO(
        MirrorPolicy,
        env,
        n_steps=settings.rollout,
        batch_size=settings.batch,
        n_epochs=settings.epochs,
        learning_rate=lambda left: settings.learning_rate * max(left, 0.03),
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        ent_coef=settings.entropy,
        seed=settings.seed,
        device="cpu",
    )


class Progress(BaseCallback):  # type: ignore[misc]
    """Keeps and prints how training episodes end.

    Attributes:
        points: Steps, seconds, and mean success, SPL and length of the last 200 episodes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.points: list[dict[str, float]] = []
        self._episodes: list[tuple[float, float, float]] = []
        self._start = time.perf_counter()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes.append((info["success"], info["spl"], info["episode"]["l"]))
        return True

    def _on_rollout_end(self) -> None:
        if not self._episodes:
            return
        success, spl, length = np.mean(self._episodes[-200:], axis=0).tolist()
        seconds = time.perf_counter() - self._start
        point = {"steps": self.num_timesteps, "seconds": round(seconds, 1)}
        self.points.append(point | {"success": success, "spl": spl, "length": length})
        if len(self.points) % 10 == 0:
            print(
                f"{self.num_timesteps:7d} steps {seconds:5.0f} s   success {success:.2f}   "
                f"SPL {spl:.2f}   {length:.0f} steps an episode",
                flush=True,
            )


class Threads(BaseCallback):  # type: ignore[misc]
    """All threads for updates; one where batches are small and environments need the cores."""

    def __init__(self) -> None:
        super().__init__()
        self._updating = torch.get_num_threads()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        torch.set_num_threads(1)

    def _on_rollout_end(self) -> None:
        torch.set_num_threads(self._updating)

    def _on_training_end(self) -> None:
        torch.set_num_threads(1)


def evaluate(model: PPO, settings: Settings) -> list[PlayedEpisode]:
    """Play every episode of the suite with actions drawn from the policy."""
    return list(
        play(
            EpisodeSet.load(settings.suite),
            lambda env, number: PolarAgent(model.policy, env, seed=number),
            options=settings.environment,
        )
    )


def main(settings: Settings) -> dict[str, Any]:
    """Train, play the suite, write the files; returns what is in ``curve.json``."""
    wall, cpu, threads = time.perf_counter(), time.process_time(), torch.get_num_threads()
    settings.out.mkdir(parents=True, exist_ok=True)
    env = training_env(settings)
    model = make_model(settings, env)
    progress = Progress()
    rollout = settings.envs * settings.rollout
    model.learn(settings.steps // rollout * rollout, callback=[progress, Threads()])
    trained = time.perf_counter() - wall
    episodes = evaluate(model, settings)
    results = {
        name: float(np.mean([episode.metrics[name] for episode in episodes]))
        for name in ("success", "spl", "soft_spl", "distance_to_goal", "collisions")
    }
    report = {
        "settings": {**asdict(settings), "out": settings.out.name},
        "steps": model.num_timesteps,
        "threads": threads,
        "seconds": {
            "training": round(trained, 1),
            "all": round(time.perf_counter() - wall, 1),
            "process": round(time.process_time() - cpu, 1),
        },
        "suite": {"name": settings.suite, "episodes": len(episodes), **results},
        "training": progress.points,
    }
    save_policy(model.policy, settings.out / "policy.safetensors", settings.environment)
    (settings.out / "curve.json").write_text(json.dumps(report, indent=1) + "\n")
    draw_curve(report, settings.out / "curve.png")
    print(json.dumps({k: report[k] for k in ("steps", "seconds", "suite")}, indent=1))
    return report


if __name__ == "__main__":
    main(tyro.cli(Settings))
