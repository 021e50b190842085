"""The life of a model: trained, judged, activated or rejected, retired, rolled back to, carried as a file."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from core.conf import conf
from core.errors import ConflictError
from core.lead_scoring.afterwards import filled_afterwards, suspects
from core.lead_scoring.engine import current, read_artefact
from core.lead_scoring.feature_reader import training_reader
from core.lead_scoring.features import Frame
from core.lead_scoring.history import TrainingSnapshots, training_snapshots
from core.lead_scoring.leaks import strengths
from core.lead_scoring.model import DamagedModelError, Model, model_from_json
from core.lead_scoring.models import ScoringModel
from core.lead_scoring.retraining import Retrained, retrain
from core.lead_scoring.rule_store import newest_rules, rules_of, under_rules
from core.lead_scoring.scoring_target import target
from core.lead_scoring.training import RECIPE

Status = ScoringModel.Status
# A new training is due when so many outcomes have arrived, as a share of those known and at the least; the
# nightly look comes once a day, some minutes early or late.
NEW_OUTCOMES, LEAST_NEW_OUTCOMES, LEAST_HOURS = 0.025, 50, 23


def retrain_model(user_id: int | None = None) -> ScoringModel | None:
    """Train on every closed lead and let the gate decide; None while there is too little to learn from.

    Reads outside any transaction of its own; only the new row and the change of champion are written
    together.
    """
    seen = training_snapshots(training_reader())
    if seen.leads < RECIPE.least_leads:
        return None
    afterwards = {k: why for k, why in filled_afterwards().items() if k not in conf.SCORING_ALLOWED_FEATURES}
    frame = seen.frame.without(afterwards)
    champion = _champion()
    made = retrain(
        frame,
        seen.won,
        rules_of(newest_rules()),
        champion,
        weights=seen.weight,
        groups=seen.group,
        allowed=conf.SCORING_ALLOWED_FEATURES,
    )
    if not made.model.learned:
        return None
    dropped = made.model.about["dropped"] | afterwards
    goes_live = _goes_live(made)
    row = ScoringModel(
        status=Status.REJECTED,
        artefact=made.model.to_json(),
        holdout_model=made.holdout_model.to_json(),
        card=made.card | {"dropped": dropped, "suspects": _suspects(frame, seen), "outcomes": outcomes()},
        verdict=_verdict(made, goes_live),
        trained_by_id=user_id,
        **_described(made.model, seen),
    )
    return _save_model(row, live=goes_live)


def _suspects(frame: Frame, seen: TrainingSnapshots) -> dict[str, Any]:
    found = suspects(strengths(frame, seen.won, seen.group))
    return {key: one for key, one in found.items() if key not in conf.SCORING_ALLOWED_FEATURES}


def outcomes() -> int:
    """How many records have an outcome now."""
    about = target()
    return about.model.objects.filter(about.won | about.lost).count()


def is_due() -> bool:
    """Whether enough outcomes arrived since the newest training, and that was not within the last day."""
    newest = ScoringModel.objects.order_by("-id").values("created_at", "leads", "card").first()
    if newest is None:
        return outcomes() >= RECIPE.least_leads
    known = newest["card"].get("outcomes", newest["leads"])
    enough = max(LEAST_NEW_OUTCOMES, NEW_OUTCOMES * known)
    aged = timezone.now() - newest["created_at"] >= timedelta(hours=LEAST_HOURS)
    return aged and outcomes() - known >= enough


def _goes_live(made: Retrained) -> bool:
    """Whether a judged model takes over. One that had to leave out the newest leads only does where the live
    model did not learn from more."""
    if not made.verdict.passed or not made.suspicion:
        return made.verdict.passed
    live = ScoringModel.objects.filter(status=Status.ACTIVE).values_list("leads", flat=True).first()
    return live is None or live < made.model.about["leads"]


def _verdict(made: Retrained, goes_live: bool) -> dict[str, Any]:
    found = made.verdict.to_json() | {"suspicion": made.suspicion}
    if made.suspicion:
        lives = "this model, which did not learn from them, scores" if goes_live else "the live model stays"
        found["reason"] += f". The newest leads are left out and {lives}: {made.suspicion}"
    return found


def _described(model: Model, seen: TrainingSnapshots) -> dict[str, Any]:
    window = {"window_start": seen.start, "window_end": seen.end}
    counts = {"leads": model.about["leads"], "wins": model.about["wins"]}
    return window | counts | {"hash": model.to_json()["hash"]}


def _champion() -> Model | None:
    """What stands for the active model when a challenger is judged: its fit without the newest leads, under
    the present rules."""
    row = ScoringModel.objects.filter(status=Status.ACTIVE).values("holdout_model").first()
    try:
        if row is None or row["holdout_model"] is None:
            return None
        return under_rules(model_from_json(row["holdout_model"]), newest_rules())
    except DamagedModelError:
        return None


def _save_model(row: ScoringModel, *, live: bool) -> ScoringModel:
    with transaction.atomic():
        row.save()
        if live:
            activate(row)
    return row


def activate(row: ScoringModel) -> None:
    """Make a model the active one instead of the present, in the caller's transaction.

    Raises ConflictError for one that cannot be read. Whoever calls has all leads scored anew.
    """
    row.activated_at = timezone.now()
    _activate(row)


def _activate(row: ScoringModel) -> None:
    try:
        read_artefact({"artefact": row.artefact, "hash": row.hash})
    except DamagedModelError as error:
        raise ConflictError(f"The model cannot be used: {error}.", code="damaged_model") from error
    # Whoever activates waits here for another who does.
    list(ScoringModel.objects.select_for_update().filter(status=Status.ACTIVE))
    ScoringModel.objects.filter(status=Status.ACTIVE).update(status=Status.RETIRED)
    row.status = Status.ACTIVE
    row.save(update_fields=["status", "activated_at"])


def roll_back() -> ScoringModel | None:
    """Activate the model before the active one; None: the rules alone, where there was none."""
    with transaction.atomic():
        active = ScoringModel.objects.select_for_update().filter(status=Status.ACTIVE).first()
        if active is None:
            raise ConflictError("No model is active.", code="no_active_model")
        before = ScoringModel.objects.filter(status=Status.RETIRED, activated_at__lt=active.activated_at)
        previous = before.order_by("-activated_at").first()
        active.status = Status.RETIRED
        active.save(update_fields=["status"])
        if previous:
            # It keeps the time it first went live: rolling back again goes further back.
            _activate(previous)
    return previous


def export_model(path: Path | None = None) -> Path:
    """Write the active model to a file, whole or not at all; LEAD_SCORING_MODEL_PATH by default."""
    target = Path(path or settings.LEAD_SCORING_MODEL_PATH)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{os.getpid()}.part")
    aside.write_text(json.dumps(current().model.to_json()))
    aside.replace(target)
    return target


def import_model(path: Path | None = None, user_id: int | None = None) -> ScoringModel:
    """Take a model from a file, retired until someone activates it. Raises DamagedModelError or OSError."""
    source = Path(path or settings.LEAD_SCORING_MODEL_PATH)
    try:
        raw = json.loads(source.read_text())
    except ValueError as error:
        raise DamagedModelError(f"{source.name} is no JSON") from error
    model = model_from_json(raw)
    row = ScoringModel(status=Status.RETIRED, artefact=raw, hash=raw["hash"], trained_by_id=user_id)
    row.leads, row.wins = model.about.get("leads", 0), model.about.get("wins", 0)
    row.verdict = {"reason": f"read from {source.name}"}
    row.save()
    return row
