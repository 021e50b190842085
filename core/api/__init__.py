"""HTTP: the only layer that knows of it."""
