"""Training of frame models: samples from procedural worlds, three stages, evaluation."""
