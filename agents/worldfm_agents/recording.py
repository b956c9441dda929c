"""Recorder: watches an environment step and keeps what happened as a video and a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worldfm_agents.pictures import depth_picture
from worldfm_agents.top_down import TopDownMap
from worldfm_agents.video import (
    FrameSampler,
    VideoWriter,
    contact_sheet,
    evenly,
    save_gif,
    save_png,
)
from worldfm_envs.base import WorldEnv
from worldfm_gym.errors import ConfigError

_CAPTION_PX, _CAPTION_LEFT_PX = 26, 8
_CAPTION_PAPER, _CAPTION_INK = (24, 25, 28), (232, 232, 232)
_FONT_PX = 15
_CAPTIONS = {"distance_to_goal": "goal in {:.2f} m", "coverage": "{:.0%} seen"}
_SHEET_FRAMES, _SHEET_COLUMNS, _SHEET_WIDTH = 12, 2, 640
_GIF_FRAMES, _GIF_WIDTH, _GIF_FPS = 48, 512, 6


class Recorder:
    """Composes rgb | depth | map from above with a caption, for every step it is called on.

    Where the goal is a view, that view stands between depth and map.

    It is an `on_frame` of `worldfm_agents.rollout.rollout`, and a context manager: the files appear
    when it is left without an error.

    Attributes:
        frames_seen: How many frames it was called on.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        *,
        video: str | os.PathLike[str] | None = None,
        sheet: str | os.PathLike[str] | None = None,
        gif: str | os.PathLike[str] | None = None,
        title: str = "",
        fps: int = 15,
        zoom: int = 1,
    ) -> None:
        """Watch an environment.

        Args:
            env: A WorldFM environment, wrapped or not.
            video: The .mp4 to write, if any.
            sheet: The .png of 12 frames to write, if any.
            gif: The .gif of at most 48 frames to write, if any.
            title: First words of the caption.
            fps: Frames per second of the video.
            zoom: Panels are so many times as large as the agent's images.

        Raises:
            ConfigError: If `env` is another environment, a file has the wrong suffix, or `zoom` is
                not positive.
        """
        inner = env.unwrapped
        if not isinstance(inner, WorldEnv):
            raise ConfigError(f"Recorder watches WorldFM environments, got {inner}")
        if zoom < 1:
            raise ConfigError(f"zoom must be 1 or more, got {zoom}")
        self._env: WorldEnv[Any] = inner
        self._zoom = zoom
        self._writer = None if video is None else VideoWriter(video, fps=fps)
        self._sheet = None if sheet is None else Path(sheet)
        self._title = title
        self._gif = None if gif is None else Path(gif)
        self._samples = FrameSampler(_SHEET_FRAMES if gif is None else _GIF_FRAMES)
        self._font = ImageFont.load_default(size=_FONT_PX)
        self._maps: dict[int, TopDownMap] = {}
        self._path_xy: list[NDArray[np.float64]] = []
        self._episode = 0
        self.frames_seen = 0

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)
        if kind is not None or not self.frames_seen:
            return
        if self._sheet is not None:
            frames = evenly(self._samples.frames(), _SHEET_FRAMES)
            pictures = [_reduced(frame, _SHEET_WIDTH) for frame in frames]
            save_png(contact_sheet(pictures, columns=_SHEET_COLUMNS), self._sheet)
        if self._gif is not None:
            pictures = [_reduced(frame, _GIF_WIDTH) for frame in self._samples.frames()]
            save_gif(pictures, self._gif, fps=_GIF_FPS)

    def __call__(self, observation: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Keep the frame that `reset` or `step` has just returned."""
        picture = self.compose(info)
        self.frames_seen += 1
        self._samples.add(picture)
        if self._writer is not None:
            self._writer.add(picture)

    def compose(self, info: Mapping[str, Any]) -> NDArray[np.uint8]:
        """The picture of now, uint8 [zoom · H + 26, 3 · zoom · W, 3]; 4 · … with a goal view."""
        env, simulator = self._env, self._env.simulator
        frame = env.task.frame
        assert frame is not None, "call reset() first"
        if simulator.step_count[0] == 0:
            self._path_xy = []
            self._episode += 1
        self._path_xy.append(simulator.position_xy[0].copy())
        depth = depth_picture(frame.depth[0], max_depth_m=env.config.max_depth_m)
        views = [frame.rgb[0], depth]
        goals = env.task.goals
        if "goal_rgb" in goals:
            views.append(goals["goal_rgb"][0])
        panels = [view.repeat(self._zoom, 0).repeat(self._zoom, 1) for view in views]
        height, width = panels[0].shape[:2]
        goal = goals.get("goal_xy")
        plan = self._map_of(width, height).draw(
            np.stack(self._path_xy),
            float(simulator.yaw[0]),
            goal_xy=None if goal is None else goal[0],
            others_xy=self._robots_xy(),
            fov_x_deg=simulator.config.fov_x_deg,
        )
        panels.append(plan)
        caption = self._caption(info, int(simulator.step_count[0]), len(panels) * width)
        return np.concatenate([np.concatenate(panels, axis=1), caption])

    def _robots_xy(self) -> NDArray[np.float64]:
        """Where the other robots are, float64 [M, 2]."""
        simulator, scene = self._env.simulator, int(self._env.simulator.scene[0])
        objects, own = simulator.worlds[scene].objects, simulator.bodies[0]
        robots = [
            k
            for k, item in enumerate(objects)
            if item.category == "robot" and k != own and simulator.object_present[scene, k]
        ]
        return simulator.objects.poses[scene, robots, :2, 3]

    def _map_of(self, width: int, height: int) -> TopDownMap:
        """The map of the world that the agent is in, drawn once a world."""
        world = self._env.world
        if id(world) not in self._maps:
            self._maps = {id(world): TopDownMap(world, width=width, height=height)}
        return self._maps[id(world)]

    def _caption(self, info: Mapping[str, Any], step: int, width: int) -> NDArray[np.uint8]:
        """One line of text below the panels."""
        words = [self._title, f"episode {self._episode}", f"step {step}"]
        words += [text.format(info[name]) for name, text in _CAPTIONS.items() if name in info]
        if info.get("success"):
            words.append(f"SPL {info['spl']:.2f}" if "spl" in info else "success")
        if self._env.simulator.collided[0]:
            words.append("contact")
        strip = Image.new("RGB", (width, _CAPTION_PX), _CAPTION_PAPER)
        text = "   ".join(word for word in words if word)
        font, room_px = self._font, width - 2 * _CAPTION_LEFT_PX
        if (needed_px := font.getlength(text)) > room_px:
            font = ImageFont.load_default(size=_FONT_PX * room_px / needed_px)
        ImageDraw.Draw(strip).text((_CAPTION_LEFT_PX, 4), text, fill=_CAPTION_INK, font=font)
        return np.asarray(strip)


def _reduced(frame: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """The frame at most `width` pixels wide."""
    if frame.shape[1] <= width:
        return frame
    height = round(frame.shape[0] * width / frame.shape[1])
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))
