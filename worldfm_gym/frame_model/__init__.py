"""Frame model: the diffusion transformer that draws each view of a world on its own."""
