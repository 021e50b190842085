"""Mail over HTTP."""
