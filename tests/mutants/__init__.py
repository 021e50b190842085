"""Guards that are broken on purpose: each must turn a named test red (`make mutants`)."""
