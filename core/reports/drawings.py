"""Reports as bars of an SVG: no script, no picture file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from core import labels
from core.models.money import rounded

WIDTH, HEIGHT, LABELS = 720, 220, 24
COLOURS = {"created": "#7c3aed", "won": "#16a34a", "lost": "#dc2626"}
GROWING, SHRINKING, STANDING = "#16a34a", "#dc2626", "#7c3aed"
# The share of its place that a bar takes.
FILLED = 0.8


@dataclass(frozen=True)
class Bar:
    """A bar, and what is written below it and where (nothing, where there is no room)."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    title: str
    label: str = ""

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True)
class Drawing:
    """Bars in a frame; `name` is read out by screen readers."""

    name: str
    bars: Sequence[Bar]
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def outer_height(self) -> int:
        return self.height + LABELS


def trend_drawing(report: Mapping[str, Any]) -> Drawing:
    """Created, won and lost side by side for each period."""
    rows = report["rows"]
    top = max((row[name] for row in rows for name in COLOURS), default=0) or 1
    place = WIDTH / max(len(rows), 1)
    wide = place * FILLED / len(COLOURS)
    every = max(1, len(rows) // 12)
    bars = [
        _standing(
            place * i + wide * j,
            wide,
            HEIGHT * row[name] / top,
            colour,
            f"{row['period']}: {row[name]} {name}",
            f"{row['period']:%d.%m.%y}" if name == "won" and i % every == 0 else "",
        )
        for i, row in enumerate(rows)
        for j, (name, colour) in enumerate(COLOURS.items())
    ]
    return Drawing(gettext("Created, won and lost by period"), bars)


def _standing(x: float, width: float, height: float, colour: str, title: str, label: str) -> Bar:
    return Bar(
        round(x, 1), round(HEIGHT - height, 1), round(width, 1), round(height, 1), colour, title, label
    )


def funnel_drawing(report: Mapping[str, Any]) -> Drawing:
    """A bar for each step, as high as the records that came as far."""
    rows = report["rows"]
    top = max((row["count"] for row in rows), default=0) or 1
    place = WIDTH / max(len(rows), 1)
    bars = [
        _standing(
            place * i,
            place * FILLED,
            HEIGHT * row["count"] / top,
            STANDING,
            f"{row['label']}: {row['count']}",
            row["label"],
        )
        for i, row in enumerate(rows)
    ]
    return Drawing(gettext("How many came how far"), bars)


def waterfall_drawings(report: Mapping[str, Any]) -> list[Drawing]:
    """The waterfall of each currency."""
    ends = (report["pipeline_start"], report["pipeline_end"])
    currencies = {code for part in (*ends, *report["rows"]) for code in part["by_currency"]}
    return [_waterfall(report, currency) for currency in sorted(currencies)]


def _waterfall(report: Mapping[str, Any], currency: str) -> Drawing:
    parts = list(_parts(report, currency))
    top = max((max(low, high) for _, low, high, _ in parts), default=Decimal(0)) or Decimal(1)
    bottom = min((min(low, high) for _, low, high, _ in parts), default=Decimal(0))
    scale = HEIGHT / float(top - bottom)
    place = WIDTH / max(len(parts), 1)
    bars = []
    for i, (name, before, after, colour) in enumerate(parts):
        high, low = max(before, after), min(before, after)
        title = f"{name}: {after if colour == STANDING else after - before} {currency}"
        y, height = float(top - high) * scale, max(float(high - low) * scale, 1)
        bars.append(
            Bar(
                round(place * i, 1),
                round(y, 1),
                round(place * FILLED, 1),
                round(height, 1),
                colour,
                title,
                name,
            )
        )
    return Drawing(gettext("Pipeline in %(currency)s") % {"currency": currency}, bars)


def _parts(report: Mapping[str, Any], currency: str) -> Iterable[tuple[str, Decimal, Decimal, str]]:
    """(name, from, to, colour) of each part that is not empty."""
    nothing = {"value": rounded(Decimal(0), currency)}
    level = report["pipeline_start"]["by_currency"].get(currency, nothing)["value"]
    yield labels.label("start"), Decimal(0), level, STANDING
    for row in report["rows"]:
        value = row["by_currency"].get(currency, nothing)["value"]
        if value:
            yield (
                labels.label(row["move"].replace("_", " ")),
                level,
                level + value,
                GROWING if value > 0 else SHRINKING,
            )
            level += value
    yield labels.label("end"), Decimal(0), level, STANDING
