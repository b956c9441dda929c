"""WorldFM Gym: embodied-AI environments whose worlds come from a seed, a scan or a photo."""

__version__ = "0.1.0"
