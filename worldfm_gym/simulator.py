"""Simulator: batched agents in batched scenes; moves them, moves objects, asks for frames.

The one place where worlds, navigation and renderers meet. It knows nothing of tasks: no goals, no
rewards, no episodes. A single environment is a simulator of one agent; there is no other code path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.agent_groups import AgentGroup, group_agents
from worldfm_gym.appearance import Appearance, AppearanceTable
from worldfm_gym.camera import Camera, check_rigid, heading_c2w, intrinsics_from_fov
from worldfm_gym.errors import SimulatorError
from worldfm_gym.frame import Frame
from worldfm_gym.motion import heading_of, per_agent, turn_free, turn_level
from worldfm_gym.navigation import move_discs, move_spheres
from worldfm_gym.renderer import Renderer, WorldReplacing, make_renderer
from worldfm_gym.scene_objects import ObjectMotion, SceneObjects
from worldfm_gym.simulator_state import SimulatorConfig, SimulatorState
from worldfm_gym.worlds.world import World

__all__ = ["RendererFactory", "Simulator", "SimulatorConfig", "SimulatorState"]

RendererFactory = Callable[[Sequence[World]], Renderer]
"""Builds a renderer for a list of worlds, one per scene."""


class Simulator:
    """N agents in S scenes; a scene is a world plus where its objects are now.

    Attributes:
        config: What all agents have in common.
        worlds: One per scene.
        renderer: Draws the frames.
        objects: Where the objects of each scene are.
        c2w: Camera poses, float64 [N, 4, 4].
        scene: Scene of each agent, int64 [N].
        collided: Whether the last step met something, bool [N].
        step_count: Steps since an agent was placed, int64 [N].
        time_s: Simulated time of each scene, float64 [S].
        bodies: Place in its world's list of the object that each agent carries along as its body,
            −1 for none, int64 [N].

    The arrays are the live state: read them freely, change them through the methods.
    """

    def __init__(
        self,
        worlds: Sequence[World],
        *,
        agents_per_scene: int = 1,
        scene: ArrayLike | None = None,
        config: SimulatorConfig | None = None,
        renderer: str | Renderer | RendererFactory = "anchor",
        device: str = "cpu",
        renderer_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Set up scenes and place every agent at its world's start pose.

        Args:
            worlds: One per scene; a world may appear several times and is never modified.
            agents_per_scene: Agents in each scene, numbered scene by scene.
            scene: Scene of each agent [N], instead of `agents_per_scene`.
            config: Image size, camera height and so on.
            renderer: A name for `make_renderer`, a function that builds one, or one already built
                for exactly these worlds.
            device: Where a renderer given by name draws.
            renderer_options: Further options for `make_renderer`.

        Raises:
            SimulatorError: If there are no worlds or agents, a scene index is out of range, the
                renderer was built for other worlds, or a renderer that is not given by name gets
                options.
            RendererError: If there is no renderer of that name, or it lacks one of the options.
        """
        self.config = config or SimulatorConfig()
        self.worlds = list(worlds)
        if not self.worlds:
            raise SimulatorError("a simulator needs at least one world, got an empty list")
        if scene is None:
            scene = np.repeat(np.arange(len(self.worlds)), max(agents_per_scene, 0))
        self.scene = np.array(scene, np.int64)
        self._check_scenes(self.scene)
        self._make_renderer = _renderer_factory(renderer, device, renderer_options or {})
        self._owns_renderer = not isinstance(renderer, Renderer)
        self.renderer = self._checked_renderer()
        self.objects = SceneObjects(self.worlds)
        count = len(self.scene)
        self.c2w = np.stack([self.worlds[s].start_c2w for s in self.scene]).astype(np.float64)
        self.collided = np.zeros(count, np.bool_)
        self.step_count = np.zeros(count, np.int64)
        self.time_s = np.zeros(len(self.worlds))
        size = {"width": self.config.width, "height": self.config.height}
        intrinsics = intrinsics_from_fov(self.config.fov_x_deg, **size)
        self._intrinsics = Camera(self.c2w, intrinsics, **size).intrinsics
        self.bodies = np.full(count, -1)
        self._appearances = AppearanceTable(len(self.worlds))
        self._grouped = -1

    @property
    def num_agents(self) -> int:
        """Number of agents N."""
        return len(self.scene)

    @property
    def num_scenes(self) -> int:
        """Number of scenes S."""
        return len(self.worlds)

    @property
    def object_poses(self) -> NDArray[np.float64]:
        """Object-to-world transforms, float64 [S, K, 4, 4]."""
        return self.objects.poses

    @property
    def object_present(self) -> NDArray[np.bool_]:
        """Whether each object is there: drawn and in the way, bool [S, K]."""
        return self.objects.present

    @property
    def position_xy(self) -> NDArray[np.float64]:
        """Where the agents stand, float64 [N, 2]; a view of `c2w`."""
        return self.c2w[:, :2, 3]

    @property
    def yaw(self) -> NDArray[np.float64]:
        """Headings in radians, counter-clockwise from world +x, float64 [N]."""
        return heading_of(self.c2w)[0]

    def place(self, agents: ArrayLike, c2w: ArrayLike, *, scene: ArrayLike | None = None) -> None:
        """Put agents at camera poses, and in other scenes if `scene` is given; restarts counters.

        Args:
            agents: Indices [M].
            c2w: Camera-to-world transforms [M, 4, 4] (or one for all), rigid.
            scene: Scene indices [M].

        Raises:
            CameraError: If a pose is not rigid.
            SimulatorError: If a scene index is out of range.
        """
        chosen = np.atleast_1d(np.asarray(agents, np.int64))
        if scene is not None:
            moved = np.broadcast_to(np.asarray(scene, np.int64), chosen.shape)
            self._check_scenes(moved)
            if (self.scene[chosen] != moved).any():
                self._leave(chosen[self.scene[chosen] != moved])
                self.scene[chosen] = moved
                self._grouped = -1
        self.c2w[chosen] = check_rigid(c2w)
        self.collided[chosen] = False
        self.step_count[chosen] = 0
        self._carry_bodies(chosen)

    def place_ground(
        self,
        agents: ArrayLike,
        xy: ArrayLike,
        yaw: ArrayLike,
        *,
        pitch: ArrayLike = 0.0,
        scene: ArrayLike | None = None,
    ) -> None:
        """Stand agents on the floor at points [M, 2] with headings and pitches [M] in radians."""
        position = np.atleast_2d(np.asarray(xy, np.float64))
        eye = np.empty((len(position), 3))
        eye[:, :2], eye[:, 2] = position, self.config.camera_height_m
        self.place(agents, heading_c2w(eye, yaw, pitch), scene=scene)

    def move_ground(
        self,
        forward_m: ArrayLike,
        *,
        strafe_m: ArrayLike = 0.0,
        yaw_delta: ArrayLike = 0.0,
        pitch_delta: ArrayLike = 0.0,
    ) -> None:
        """One step of every ground agent: objects move, then agents turn and move until contact.

        Args:
            forward_m: Way along the heading in metres, [N] or one for all.
            strafe_m: Way to the right in metres.
            yaw_delta: Turn to the left in radians, made evenly while moving.
            pitch_delta: Turn upward in radians; pitch stops at ±89°.

        Raises:
            NavigationError: If an agent is in a world that can't be walked; nothing moved.
        """
        count = len(self.scene)
        for group in self._groups():
            self.worlds[group.scene].require_nav()
        self._advance(self.config.step_s)
        delta = turn_level(
            self.c2w,
            per_agent(forward_m, count),
            per_agent(strafe_m, count),
            per_agent(yaw_delta, count),
            per_agent(pitch_delta, count),
        )
        for group in self._groups():
            xy, collided = move_discs(
                self.worlds[group.scene].require_nav(),
                self.c2w[group.agents, :2, 3],
                delta[group.agents],
                slide=self.config.sliding,
                boxes=group.crowd,
            )
            self.c2w[group.agents, :2, 3] = xy
            self.collided[group.agents] = collided
            if group.pushing is not None:
                self.objects.take_from_boxes(group.pushing)
        self._carry_bodies(slice(None))

    def move_free(self, twist: ArrayLike, dt: float) -> None:
        """One step of every free camera along a body-frame velocity.

        Where the world has a navigation map, cameras stop or slide at solid and unknown space;
        where it has none they fly through everything.

        Args:
            twist: (vx, vy, vz, wx, wy, wz) in m/s and rad/s in the camera frame, [N, 6] or [6].
            dt: Duration of the step in seconds.
        """
        count = len(self.scene)
        self._advance(dt)
        delta = turn_free(self.c2w, per_agent(twist, count, (6,)) * dt)
        for group in self._groups():
            nav = self.worlds[group.scene].nav
            if nav is None:
                self.c2w[group.agents, :3, 3] += delta[group.agents]
                continue
            position, collided = move_spheres(
                nav,
                self.c2w[group.agents, :3, 3],
                delta[group.agents],
                radius_m=self.config.free_radius_m,
                slide=self.config.sliding,
                boxes=group.crowd,
            )
            self.c2w[group.agents, :3, 3] = position
            self.collided[group.agents] = collided
        self._carry_bodies(slice(None))

    def render(self, agents: ArrayLike | None = None) -> Frame:
        """Draw what agents see now, in one renderer call.

        Args:
            agents: Indices [M] of those to draw for, in this order; None draws for all N.

        Raises:
            SimulatorError: If the indices are not a flat list of agents, at least one.
        """
        chosen = slice(None) if agents is None else self._checked_agents(agents)
        return self._draw(np.array(self.c2w[chosen]), self.scene[chosen], self._intrinsics[chosen])

    def render_at(self, c2w: ArrayLike, scene: ArrayLike) -> Frame:
        """Draw what cameras like the agents' would see at other places now; moves nothing.

        Args:
            c2w: Camera-to-world transforms [M, 4, 4], rigid.
            scene: Scene of each [M].

        Raises:
            CameraError: If a pose is not rigid.
            SimulatorError: If a scene index is out of range.
        """
        poses = check_rigid(c2w)
        of_scene = np.asarray(scene, np.int64)
        if poses.ndim != 3 or of_scene.shape != poses.shape[:1]:
            raise SimulatorError(
                f"render_at takes c2w [M, 4, 4] and scene [M], got {poses.shape} and "
                f"{of_scene.shape}"
            )
        self._check_scenes(of_scene)
        return self._draw(
            np.array(poses, np.float64), of_scene, np.repeat(self._intrinsics[:1], len(poses), 0)
        )

    def _draw(
        self, c2w: NDArray[np.float64], scene: NDArray[np.int64], intrinsics: NDArray[np.float64]
    ) -> Frame:
        size = {"width": self.config.width, "height": self.config.height}
        cameras = Camera.unchecked(c2w, intrinsics, **size)
        frame = self.renderer.render(cameras, scene, object_poses=self.objects.drawn_poses)
        return self._appearances.paint(frame, scene)

    def set_object_pose(self, scene: int, instance: int, pose: ArrayLike) -> None:
        """Move one object of one scene; the world itself stays as it is.

        Raises:
            KeyError: If the scene's world has no object with that instance id.
            CameraError: If the pose is not rigid.
        """
        self.objects.set_pose(scene, instance, pose)

    def set_object_present(self, scene: int, instance: int, present: bool) -> None:
        """Let one object of one scene be there or not: drawn and in the way, or neither.

        Raises:
            KeyError: If the scene's world has no object with that instance id.
        """
        self.objects.set_present(scene, instance, present)

    def set_pushable(self, scene: int, instances: Iterable[int]) -> None:
        """Let ground agents push these objects of a scene, and no others.

        A pushed object gives way along the contact's normal, without turning, as far as floor,
        other objects and other agents leave room; the agent follows and counts as `collided`.

        Raises:
            KeyError: If the scene's world has no object with such an instance id.
        """
        self.objects.set_pushable(scene, instances)

    def set_appearance(self, scene: int, appearance: Appearance | None) -> None:
        """Show a scene in other colors from now on; None shows it as it is drawn.

        Geometry, depth and instance ids stay as they are. Holds until another is set or the scene
        gets another world; it is no part of `state()`.

        Raises:
            SimulatorError: If the scene index is out of range.
        """
        self._check_scenes(np.array([scene]))
        self._appearances.set(scene, appearance)

    def appearance(self, scene: int) -> Appearance | None:
        """In which colors a scene is shown, or None for those in which it is drawn."""
        return self._appearances.get(scene)

    def attach_body(self, agent: int, instance: int | None) -> None:
        """Let an object follow an agent's position on the floor and heading, as its body.

        It is drawn, and other agents of the scene collide with it as with a disc, agents with
        lower numbers moving first. It stays at the height at which it stands on the floor, and is
        gone when the agent gets another body (or None) or goes to another scene.

        Args:
            agent: The agent.
            instance: Id of an object of the agent's scene, None for no body.

        Raises:
            KeyError: If the world of the agent's scene has no object with that instance id.
            SimulatorError: If the object is another agent's body.
        """
        scene = int(self.scene[agent])
        k = -1 if instance is None else self.objects.index_of(scene, instance)
        taken = (self.scene == scene) & (self.bodies == k)
        taken[agent] = False
        if k >= 0 and taken.any():
            raise SimulatorError(
                f"object {instance} is the body of agent {int(np.argmax(taken))} already"
            )
        self._leave(np.array([agent]))
        self.bodies[agent] = k
        self._grouped = -1
        if k >= 0:
            self.objects.carry(scene, k, True)
            self._carry_bodies(np.array([agent]))

    def set_object_motion(self, scene: int, motion: ObjectMotion | None) -> None:
        """Let the objects of a scene move by themselves from now on; None leaves them still."""
        self.objects.set_motion(scene, motion, float(self.time_s[scene]))

    def reset_objects(self, scenes: ArrayLike | None = None) -> None:
        """Put the clock of scenes back to zero and their objects where their worlds hold them."""
        chosen = range(self.num_scenes) if scenes is None else np.atleast_1d(np.asarray(scenes))
        for scene in map(int, chosen):
            self.time_s[scene] = 0.0
            self.objects.reset(scene)

    def state(self) -> SimulatorState:
        """A copy of all that changes; `set_state` brings the simulator back to it exactly.

        Not part of it is what was arranged before stepping: bodies, motions, what can be pushed,
        appearances. An agent that goes back to another scene leaves its body.
        """
        return SimulatorState(
            **{f.name: getattr(self, f.name).copy() for f in fields(SimulatorState)}
        )

    def set_state(self, state: SimulatorState) -> None:
        """Restore a state of a simulator with the same worlds and number of agents.

        Raises:
            SimulatorError: If an array has another shape; nothing changed.
        """
        for name, array in state.arrays().items():
            own = getattr(self, name)
            if np.shape(array) != own.shape:
                raise SimulatorError(
                    f"{name} of this state has shape {np.shape(array)}, this simulator's has "
                    f"{own.shape}: restore into a simulator of the same worlds and agents"
                )
        self._check_scenes(np.asarray(state.scene))
        self._leave(np.flatnonzero(self.scene != np.asarray(state.scene)))
        for name, array in state.arrays().items():
            getattr(self, name)[...] = array
        self._grouped = -1
        self.objects.pack_boxes(np.arange(self.num_scenes))

    def set_world(self, scene: int, world: World) -> None:
        """Replace the world of a scene in place and put its agents at the world's start pose.

        The scene's clock starts again and its object motion is dropped. A renderer that was handed
        over ready made can't follow: give its name or a function that builds it.

        Raises:
            SimulatorError: If the renderer can't draw the new world; nothing changed.
        """
        before = self.worlds[scene]
        self.worlds[scene] = world
        try:
            if self._owns_renderer and isinstance(self.renderer, WorldReplacing):
                self.renderer.replace_world(scene, world)
            else:
                self.renderer = self._checked_renderer()
        except Exception:
            self.worlds[scene] = before
            raise
        inhabitants = np.flatnonzero(self.scene == scene)
        self.bodies[inhabitants] = -1
        self.objects.replace_world(scene, world)
        self._appearances.set(scene, None)
        self.time_s[scene] = 0.0
        self._grouped = -1
        if len(inhabitants):
            self.place(inhabitants, world.start_c2w)

    def _advance(self, dt: float) -> None:
        self.step_count += 1
        self.time_s += dt
        self.objects.advance_all(self.time_s)

    def _groups(self) -> list[AgentGroup]:
        """The agents as they move together; worked out anew where something changed."""
        if self._grouped != self.objects.version:
            self._made_groups = group_agents(self.worlds, self.scene, self.bodies, self.objects)
            self._grouped = self.objects.version
        return self._made_groups

    def _leave(self, agents: NDArray[np.int64]) -> None:
        """Agents leave their bodies, which are gone then."""
        for agent in np.unique(agents[self.bodies[agents] >= 0]):
            self.objects.carry(int(self.scene[agent]), int(self.bodies[agent]), False)
            self.bodies[agent] = -1
            self._grouped = -1

    def _carry_bodies(self, agents: NDArray[np.int64] | slice) -> None:
        """Move bodies to where their agents are."""
        k = self.bodies[agents]
        if (k < 0).all():
            return
        with_body = np.arange(len(self.scene))[agents][k >= 0]
        k, scene = k[k >= 0], self.scene[with_body]
        poses = np.tile(np.eye(4), (len(k), 1, 1))
        yaw = heading_of(self.c2w[with_body])[0]
        poses[:, 0, 0] = poses[:, 1, 1] = np.cos(yaw)
        poses[:, 1, 0] = np.sin(yaw)
        poses[:, 0, 1] = -poses[:, 1, 0]
        poses[:, :2, 3] = self.c2w[with_body, :2, 3]
        poses[:, 2, 3] = 0.5 * self.objects.sizes[scene, k, 2]
        self.objects.poses[scene, k] = poses
        self.objects.pack_objects(scene, k)

    def _checked_agents(self, agents: ArrayLike) -> NDArray[np.int64]:
        chosen = np.asarray(agents)
        if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "iu":
            raise SimulatorError(
                f"agents to draw for must be a flat list of indices, at least one, got {agents!r}"
            )
        if chosen.min() < 0 or chosen.max() >= len(self.scene):
            raise SimulatorError(
                f"agents are 0…{len(self.scene) - 1}, got {chosen.min()}…{chosen.max()}"
            )
        return chosen.astype(np.int64)

    def _check_scenes(self, scene: NDArray[np.int64]) -> None:
        if scene.ndim != 1 or not len(scene):
            raise SimulatorError(f"a simulator needs at least one agent, got scenes {scene}")
        if scene.min() < 0 or scene.max() >= len(self.worlds):
            raise SimulatorError(
                f"scene indices must be 0…{len(self.worlds) - 1} for {len(self.worlds)} world(s), "
                f"got {scene.min()}…{scene.max()}"
            )

    def _checked_renderer(self) -> Renderer:
        renderer = self._make_renderer(self.worlds)
        drawn = list(renderer.worlds)
        if len(drawn) != len(self.worlds) or any(
            a is not b for a, b in zip(drawn, self.worlds, strict=True)
        ):
            raise SimulatorError(
                f"the renderer was built for {len(drawn)} other world(s): pass a renderer of "
                "exactly these worlds, or a function (worlds) -> Renderer that builds one"
            )
        return renderer


def _renderer_factory(
    renderer: str | Renderer | RendererFactory, device: str, options: Mapping[str, Any]
) -> RendererFactory:
    """A function that builds the renderer, whichever way it was given."""
    if isinstance(renderer, str):
        name = renderer
        return lambda worlds: make_renderer(name, worlds, device=device, **options)
    if options:
        raise SimulatorError(
            f"renderer_options {sorted(options)} are for a renderer given by name: build them into "
            "the renderer or the function that makes it"
        )
    if isinstance(renderer, Renderer):
        built = renderer
        return lambda worlds: built
    return renderer
