"""What users are told, of what, and by which channels (docs/notifications.md)."""
