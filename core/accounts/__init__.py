"""Signing in and staying so: tokens, sessions, API keys, and the limits on trying."""
