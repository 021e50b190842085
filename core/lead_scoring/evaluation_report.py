"""An evaluation drawn: losses by block, and how far probabilities came true. HTML with SVG in it."""

from typing import Any

from django.template.loader import render_to_string

from core.admin.plots import HEIGHT, WIDTH, line
from core.lead_scoring.evaluation import PIPELINE, Evaluation
from core.lead_scoring.tabular import LabelledTable

PRIOR = "class prior"


def evaluation_report(title: str, table: LabelledTable, found: Evaluation) -> str:
    """The page of one evaluation. It loads nothing from elsewhere."""
    medians, means = found.medians(), found.means()
    best = min((name for name in medians if name != PIPELINE), key=lambda name: medians[name]["log_loss"])
    rows = [
        {
            "name": name,
            "losses": [block["log_loss"] for block in blocks],
            "median": medians[name]["log_loss"],
            "mean": means[name]["log_loss"],
            "role": {PIPELINE: "pipeline", best: "best"}.get(name, "other"),
        }
        for name, blocks in found.blocks.items()
    ]
    context = {
        "title": title,
        "rows": rows,
        "leads": len(table.won),
        "wins": int(table.won.sum()),
        "blocks": [{"number": i, "leads": size} for i, (_, size) in enumerate(found.sizes, 1)],
        "losses": _loss_lines(rows),
        "curves": [_curve(name, found) for name in found.blocks if name != PRIOR],
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render_to_string("core/evaluation_report.html", context)


def _loss_lines(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A line of losses for each model, the pipeline and the best other drawn last, over the rest."""
    every = [loss for row in rows for loss in row["losses"]]
    low, high = min(every), max(every)
    spread, last = (high - low) or 1.0, max(len(rows[0]["losses"]) - 1, 1)
    order = {"other": 0, "best": 1, "pipeline": 2}
    drawn = [
        row | {"line": line((i / last, (loss - low) / spread) for i, loss in enumerate(row["losses"]))}
        for row in sorted(rows, key=lambda row: order[row["role"]])
    ]
    return {"low": low, "high": high, "drawn": drawn}


def _curve(name: str, found: Evaluation) -> dict[str, Any]:
    """Predicted against observed share won, in ten bins of equally many leads."""
    points = found.reliability(name)
    return {"name": name, "line": line((point["predicted"], point["observed"]) for point in points)}
