"""What users are notified of, and by which channels (docs/notifications.md)."""
