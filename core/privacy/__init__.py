"""Privacy: what is kept of a person is handed out, or erased, wherever it stands (docs/privacy.md)."""
