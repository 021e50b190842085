"""Demo data: each app adds its own, in the order in which the apps build on each other."""

from core.demo.parts import Demo, demo_parts

__all__ = ["Demo", "demo_parts"]
