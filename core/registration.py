"""What core registers with its own registries at start-up."""
