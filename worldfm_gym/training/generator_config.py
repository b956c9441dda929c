"""Options of the sample generator."""

from __future__ import annotations

from dataclasses import dataclass

from worldfm_gym.errors import ConfigError
from worldfm_gym.worlds.procedural import KINDS

TRAINING_SEEDS = 1_000_000_000
"""Seeds of procedural worlds below this are for training, all others for evaluation."""
MOST_OBSERVERS = 3
"""Views of a place that its anchor comes from, at most."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """What samples are made of; the defaults suit a data-center GPU with 16 CPU cores.

    Raises:
        ConfigError: On values that no sample can be made with.
    """

    kinds: tuple[str, ...] = ("rooms", "factory", "rooms", "maze", "warehouse")
    """Kinds of worlds, taken in turn."""
    sizes: tuple[tuple[int, int], ...] = (
        (128, 128),
        (64, 64),
        (96, 96),
        (128, 96),
        (96, 128),
        (128, 64),
    )
    """Image sizes (width, height) in pixels; all samples of a batch have the same."""
    size_shares: tuple[float, ...] = (0.6, 0.12, 0.08, 0.08, 0.06, 0.06)
    """Share of the worlds, and of the batches, that each size gets."""
    places: int = 64
    """Places in each world."""
    views: int = 8
    """Views of each place."""
    targets: int = 4
    """Targets in a group; the other views of the place may be its references."""
    reference_shares: tuple[float, ...] = (0.15, 0.17, 0.4, 0.17, 0.11)
    """Share of the batches with 0, 1, … references."""
    spacing_m: tuple[float, float] = (0.05, 0.1)
    """Range of the anchors' sampling distance; large halls get up to 1.5 times as much."""
    complete_share: float = 0.3
    """Share of the worlds whose anchor is complete and exact."""
    masked_share: float = 0.3
    """Share of the samples that lose blocks of their anchor raster."""
    pool_worlds: int = 128
    """Worlds kept on the device at a time, for batches that mix them."""
    reuse: float = 4.0
    """How often each place is drawn into a batch, on average, before newer ones replace it."""

    neighbors: bool = False
    """Whether targets come in pairs of neighboring views, a step and a small turn apart. All other
    views of a place are then its references, and it is some of these that its anchor comes from."""
    held_out: bool = False
    """Worlds that training never draws, to score with."""

    @staticmethod
    def toy() -> GeneratorConfig:
        """A few tiny samples, for tests and for a look at the pipeline on a CPU."""
        return GeneratorConfig(
            kinds=("rooms", "maze"),
            sizes=((32, 32), (32, 24)),
            size_shares=(0.5, 0.5),
            places=4,
            spacing_m=(0.2, 0.25),
            pool_worlds=4,
        )

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds:
            raise ConfigError(f"kinds must be some of {list(KINDS)}, got {list(self.kinds)}")
        if len(self.sizes) != len(self.size_shares) or not self.sizes:
            raise ConfigError(
                f"size_shares needs one number for each of sizes: got {len(self.size_shares)} "
                f"for {len(self.sizes)}"
            )
        if any(side < 8 or side % 8 for size in self.sizes for side in size):
            raise ConfigError(f"sizes must be multiples of 8, got {self.sizes}")
        if min(self.size_shares) <= 0 or min(self.reference_shares) < 0:
            raise ConfigError("shares must be positive")
        if not 0 < self.targets <= self.views - len(self.reference_shares) + 1:
            raise ConfigError(
                f"{self.views} views give no {self.targets} targets and "
                f"{len(self.reference_shares) - 1} references"
            )
        if self.neighbors and self.targets % 2:
            raise ConfigError(f"neighboring targets come in pairs, got {self.targets} targets")
        if self.neighbors and self.views < self.targets + MOST_OBSERVERS:
            raise ConfigError(
                f"neighbors need {MOST_OBSERVERS} views besides the {self.targets} targets, "
                f"got {self.views} views"
            )
        if self.pool_worlds < len(self.sizes) or self.places < 1 or self.reuse <= 0:
            raise ConfigError(
                f"pool_worlds must be at least {len(self.sizes)}, one per size, places at least 1 "
                f"and reuse positive, got {self.pool_worlds}, {self.places} and {self.reuse}"
            )
