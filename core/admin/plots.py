"""Small plots as SVG points: no script, no picture file, nothing from the network."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Line:
    """Points for an SVG polyline over a unit square, the origin at the bottom left."""

    points: str
    dots: list[tuple[str, str]]
    width: int = WIDTH
    height: int = HEIGHT


def line(pairs: Iterable[tuple[float, float]]) -> Line:
    """A line through (x, y), both from 0 to 1."""
    dots = [(f"{x * WIDTH:.1f}", f"{(1 - y) * HEIGHT:.1f}") for x, y in pairs]
    return Line(" ".join(f"{x},{y}" for x, y in dots), dots)


def reliability_line(card: dict[str, Any]) -> Line:
    """Predicted against observed share won."""
    return line((p["predicted"], p["observed"]) for p in card.get("reliability", []))


def lift_line(card: dict[str, Any]) -> Line:
    """The share of leads taken from the top against the share of wins among them."""
    return line([(0.0, 0.0), *((p["share"], p["wins"]) for p in card.get("lift", []))])


def bars(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Rows with `width`: their value in percent of the largest, none below zero."""
    top = max((row[key] or 0 for row in rows), default=0) or 1
    return [row | {"width": round(100 * max(row[key] or 0, 0) / top)} for row in rows]
