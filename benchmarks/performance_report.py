"""What `benchmarks.performance` found, as lines, as tables of docs/performance.md and as a drawing."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from math import log10
from typing import Any

from benchmarks.listing import ROOT
from benchmarks.requests import Facts, Goal, requests_of

DOCUMENT, DRAWING = ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "performance.svg"
BEGIN, END = "<!-- measured: `make bench` writes what follows -->", "<!-- end of what was measured -->"
ROW, LEFT, WIDTH = 20, 250, 820


def line(name: str, found: Any) -> str:
    times = f"  {found.cpu / found.floor:6.1f} times the floor" if found.floor else ""
    spent = f"{found.cpu:9.2f} ms CPU ({found.postgres:.2f} PostgreSQL)"
    return f"  {name:<32} {spent}  median {found.p50:9.2f} ms{times}"


def show(sizes: Sequence[Any], mixed: dict[str, Any] | None) -> None:
    print("\n".join(table(sizes)))
    print("\n".join(remarks(sizes, mixed)))


def table(sizes: Sequence[Any]) -> Iterator[str]:
    """A Markdown table, a row for each request; what is missed is bold."""
    smallest, largest = sizes[0], sizes[-1]
    head = [f"CPU at {largest.rows:,} leads", "of it PostgreSQL", "median answer", "times the floor"]
    yield f"| request | {' | '.join(head)} | growth from {smallest.rows:,} | goal |"
    yield "|---|---|---|---|---|---|---|"
    for name, found in largest.measured.items():
        growth = found.cpu / smallest.measured[name].cpu
        times = f"{found.cpu / found.floor:.1f}" if found.floor else ""
        goal = verdict(name, sizes)
        spent = f"{found.cpu:.1f} ms | {found.postgres:.1f} ms | {found.p50:.1f} ms"
        yield f"| {name} | {spent} | {times} | {growth:.2f} | {goal} |"


def verdict(name: str, sizes: Sequence[Any]) -> str:
    """Each goal of a request, bold where it is missed."""
    smallest, largest = sizes[0].measured, sizes[-1].measured
    found, goal = largest[name], _goals()[name]
    parts = []
    if goal.floor and found.floor:
        parts.append((f"{goal.floor:g} times the floor", found.cpu / found.floor <= goal.floor))
    if goal.growth:
        parts.append((f"growth {goal.growth:g}", found.cpu / smallest[name].cpu <= goal.growth))
    if goal.p50_ms:
        parts.append((f"median {goal.p50_ms:g} ms", found.p50 <= goal.p50_ms))
    if goal.cpu_ms:
        parts.append((f"{goal.cpu_ms:g} ms CPU", found.cpu <= goal.cpu_ms))
    if goal.times and goal.times[1] in largest:
        most, other = goal.times
        parts.append((f"{most:g} times “{other}”", found.cpu <= most * largest[other].cpu))
    return ", ".join(f"{text} met" if met else f"**{text} missed**" for text, met in parts)


def _goals() -> dict[str, Goal]:
    nothing = Facts(1, [1], 1, 1, "", 1, [1], "", "", "")
    return {asked.name: asked.goal for asked in requests_of(nothing)}


def remarks(sizes: Sequence[Any], mixed: dict[str, Any] | None) -> Iterator[str]:
    scans = sizes[-1].scans
    yield ""
    if not scans:
        yield f"No plan reads more than 10,000 rows one after the other at {sizes[-1].rows:,} leads."
    else:
        yield "Plans that read more than 10,000 rows one after the other:"
        yield ""
        yield from (f"* {name}: {', '.join(tables)}" for name, tables in scans.items())
    if mixed:
        largest = sizes[-1].measured
        each = sum(largest[name].cpu for name in mixed["kinds"]) / len(mixed["kinds"])
        possible = 1000 * mixed["cores"] / each
        one = sum(largest[name].p50 for name in mixed["kinds"]) / len(mixed["kinds"])
        yield ""
        cores = mixed["cores"]
        yield (
            f"Sixteen clients at once, {cores} web processes on {cores} cores: {mixed['per_second']:.0f}"
            f" requests per second ({mixed['per_second'] / possible:.0%} of the cores' time divided by CPU"
            f" of these requests), median {mixed['p50']:.0f} ms, 99th percentile {mixed['p99']:.0f} ms"
            f" ({mixed['p99'] / one:.1f} times the median of one client)."
        )


def write(sizes: Sequence[Any], mixed: dict[str, Any] | None) -> None:
    """Put the table, the remarks and the drawing into the documentation."""
    measured = "\n".join([BEGIN, "", *table(sizes), *remarks(sizes, mixed), "", END])
    text = DOCUMENT.read_text()
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    assert re.search(pattern, text, re.DOTALL), f"{DOCUMENT} lacks the place for the figures"
    DOCUMENT.write_text(re.sub(pattern, lambda _: measured, text, flags=re.DOTALL))
    DRAWING.write_text(drawing(sizes))


def drawing(sizes: Sequence[Any]) -> str:
    """A bar for each request and size, of the logarithm of its CPU."""
    names, colours = list(sizes[-1].measured), ("#c4b5fd", "#8b5cf6", "#5b21b6")
    top = max(size.measured[name].cpu for size in sizes for name in names)
    height = ROW * len(names) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        ' font-size="12"><title>CPU of each request by number of leads</title>'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    ]
    for n, size in enumerate(sizes):
        x, colour = LEFT + n * 170, colours[n % 3]
        parts.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="18">{size.rows:,} leads</text>')
    for row, name in enumerate(names):
        y = 34 + row * ROW
        parts.append(f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(name)}</text>')
        for n, size in enumerate(sizes):
            wide = _length(size.measured[name].cpu, top)
            thick = (ROW - 4) / len(sizes)
            parts.append(
                f'<rect x="{LEFT}" y="{y + n * thick:.1f}" width="{wide:.1f}" height="{thick:.1f}"'
                f' fill="{colours[n % 3]}"/>'
            )
        last = sizes[-1].measured[name].cpu
        parts.append(f'<text x="{LEFT + _length(last, top) + 6:.1f}" y="{y + 12}">{last:.1f} ms</text>')
    return "".join([*parts, "</svg>\n"])


def _length(value: float, top: float) -> float:
    """Of the bar of a value, on a logarithmic scale from one millisecond."""
    return (WIDTH - LEFT - 90) * log10(max(value, 1.1)) / log10(max(top, 10))
