"""ActionModel: the protocol of all kinds of actions; and what those in [−1, 1] share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from worldfm_gym.errors import ActionError
from worldfm_gym.simulator import Simulator

_ROUNDING = 1e-6


class ActionModel(Protocol):
    """Checks a batch of actions and carries it out."""

    @property
    def space(self) -> spaces.Space[Any]:
        """The action space of one agent."""
        ...

    @property
    def steps(self) -> int:
        """Steps of the simulator that an action takes, the same for all actions."""
        ...

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """`actions` [N, …] as an array.

        Raises:
            ActionError: If one is misshapen, not finite or outside the space.
        """
        ...

    def apply(
        self,
        simulator: Simulator,
        actions: NDArray[Any],
        *,
        episode_seed: NDArray[np.uint64] | None = None,
    ) -> NDArray[np.bool_]:
        """Move all agents by checked actions.

        Args:
            simulator: Whose agents.
            actions: What `check` returned, [N, …].
            episode_seed: What noise is a function of, uint64 [N]; None takes zeros.

        Returns:
            Which agents asked to stop, bool [N].
        """
        ...


class BoxActions:
    """Actions of several numbers in [−1, 1].

    Attributes:
        space: The space of one agent's action.
    """

    def __init__(self, *components: str) -> None:
        """Name the components, for messages."""
        self._components = components
        self.space = spaces.Box(-1.0, 1.0, (len(components),), np.float32)

    def check(self, actions: ArrayLike) -> NDArray[Any]:
        """See `ActionModel.check`; float64 [N, components]."""
        meaning = f"{len(self._components)} numbers ({', '.join(self._components)})"
        try:
            array = np.asarray(actions, np.float64)
        except (TypeError, ValueError):
            raise ActionError(f"an action is {meaning}; got {actions!r}") from None
        if array.ndim != 2 or array.shape[1] != len(self._components):
            raise ActionError(f"an action is {meaning}; got shape {array.shape[1:]}")
        if not np.abs(array).max() <= 1.0 + _ROUNDING:  # a NaN fails this comparison too
            raise ActionError(
                f"actions must be finite and within [-1, 1], got {array.tolist()}: "
                "clip them, or wrap the environment in gymnasium.wrappers.ClipAction"
            )
        return array
