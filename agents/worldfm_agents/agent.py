"""Agent: what a rollout needs of whoever acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray


class Agent(Protocol):
    """Chooses actions; may keep memory between them."""

    def act(self, observation: Mapping[str, NDArray[Any]], info: Mapping[str, Any]) -> Any:
        """An action of the environment's action space for what `reset` or `step` returned."""
        ...
