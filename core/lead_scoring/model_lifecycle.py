"""The life of a model: trained, judged, activated or rejected, retired, rolled back to, carried as a file."""

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from core.conf import conf
from core.errors import ConflictError
from core.lead_scoring.afterwards import filled_afterwards, suspects
from core.lead_scoring.default_entity import DEFAULT_ENTITY
from core.lead_scoring.engine import current, read_artefact
from core.lead_scoring.feature_reader import training_reader
from core.lead_scoring.features import Frame
from core.lead_scoring.history import TrainingSnapshots, training_snapshots
from core.lead_scoring.leaks import strengths
from core.lead_scoring.model import DamagedModelError, Model, model_from_json
from core.lead_scoring.models import ScoringModel
from core.lead_scoring.retraining import Retrained, retrain
from core.lead_scoring.rule_store import newest_rules, rules_of, under_rules
from core.lead_scoring.rules import RuleSet
from core.lead_scoring.scoring_target import ScoringTarget, target_of
from core.lead_scoring.training import RECIPE

Status = ScoringModel.Status
# A new training is due when so many outcomes have arrived, as a share of those known and at the least; the
# nightly look comes once a day, some minutes early or late.
NEW_OUTCOMES, LEAST_NEW_OUTCOMES, LEAST_HOURS = 0.025, 50, 23


def retrain_model(target: ScoringTarget | None = None, user_id: int | None = None) -> ScoringModel | None:
    """Train on every closed lead and let the gate decide; None while there is too little to learn from.

    Reads outside any transaction of its own; only the new row and the change of champion are written
    together.
    """
    about = target or target_of()
    seen = training_snapshots(training_reader(about))
    if seen.leads < RECIPE.least_leads:
        return None
    late = filled_afterwards(about)
    afterwards = {key: why for key, why in late.items() if key not in conf.SCORING_ALLOWED_FEATURES}
    frame = seen.frame.without(afterwards)
    rules, champion = rules_of(about, newest_rules(about)), _champion(about)
    made = retrain(
        frame,
        seen.won,
        rules,
        champion,
        weights=seen.weight,
        groups=seen.group,
        allowed=conf.SCORING_ALLOWED_FEATURES,
    )
    if not made.model.learned:
        return None
    dropped = made.model.about["dropped"] | afterwards
    goes_live = _goes_live(about, made)
    row = ScoringModel(
        entity=about.entity,
        status=Status.REJECTED,
        artefact=made.model.to_json(),
        holdout_model=made.holdout_model.to_json(),
        card=made.card
        | {"dropped": dropped, "suspects": _suspects(about, frame, seen), "outcomes": about.closed.count()},
        verdict=_verdict(made, goes_live),
        backtest=_backtest(about, frame, seen, rules),
        trained_by_id=user_id,
        **_described(made.model, seen),
    )
    return _save_model(row, live=goes_live)


def _backtest(target: ScoringTarget, frame: Frame, seen: TrainingSnapshots, rules: RuleSet) -> dict[str, Any]:
    return target.backtest(frame, seen.won, seen.weight, seen.group, rules) if target.backtest else {}


def _suspects(target: ScoringTarget, frame: Frame, seen: TrainingSnapshots) -> dict[str, Any]:
    found = suspects(target, strengths(frame, seen.won, seen.group))
    return {key: one for key, one in found.items() if key not in conf.SCORING_ALLOWED_FEATURES}


def is_due(target: ScoringTarget | None = None) -> bool:
    """Whether enough outcomes arrived since the newest training, and that was not within the last day."""
    about = target or target_of()
    rows = ScoringModel.objects.filter(entity=about.entity).order_by("-id")
    newest, outcomes = rows.values("created_at", "leads", "card").first(), about.closed.count()
    if newest is None:
        return outcomes >= RECIPE.least_leads
    known = newest["card"].get("outcomes", newest["leads"])
    enough = max(LEAST_NEW_OUTCOMES, NEW_OUTCOMES * known)
    aged = timezone.now() - newest["created_at"] >= timedelta(hours=LEAST_HOURS)
    return aged and outcomes - known >= enough


def _goes_live(target: ScoringTarget, made: Retrained) -> bool:
    """Whether a judged model takes over. One that had to leave out the newest leads only does where the live
    model did not learn from more."""
    if not made.verdict.passed or not made.suspicion:
        return made.verdict.passed
    live = active_model(target).values_list("leads", flat=True).first()
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


def active_model(target: ScoringTarget) -> QuerySet:
    """The row of the model that scores a target, if any."""
    return ScoringModel.objects.filter(entity=target.entity, status=Status.ACTIVE)


def _champion(target: ScoringTarget) -> Model | None:
    """What stands for the active model when a challenger is judged: its fit without the newest leads, under
    the present rules."""
    row = active_model(target).values("holdout_model").first()
    try:
        if row is None or row["holdout_model"] is None:
            return None
        return under_rules(target, model_from_json(row["holdout_model"]), newest_rules(target))
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
        raise ConflictError(
            _("The model cannot be used: %(error)s.") % {"error": error}, code="damaged_model"
        ) from error
    # Whoever activates waits here for another who does.
    before = ScoringModel.objects.filter(entity=row.entity, status=Status.ACTIVE)
    list(before.select_for_update())
    before.update(status=Status.RETIRED)
    row.status = Status.ACTIVE
    row.save(update_fields=["status", "activated_at"])


def roll_back(target: ScoringTarget | None = None) -> ScoringModel | None:
    """Activate the model before the active one; None: the rules alone, where there was none."""
    with transaction.atomic():
        about = target or target_of()
        active = active_model(about).select_for_update().first()
        if active is None:
            raise ConflictError(_("No model is active."), code="no_active_model")
        before = ScoringModel.objects.filter(entity=about.entity, status=Status.RETIRED)
        earlier = before.filter(activated_at__lt=active.activated_at)
        previous = earlier.order_by("-activated_at").first()
        active.status = Status.RETIRED
        active.save(update_fields=["status"])
        if previous:
            # It keeps the time it first went live: rolling back again goes further back.
            _activate(previous)
    return previous


def export_model(path: Path | None = None, target: ScoringTarget | None = None) -> Path:
    """Write the active model to a file, whole or not at all; LEAD_SCORING_MODEL_PATH by default."""
    file = Path(path or settings.LEAD_SCORING_MODEL_PATH)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.{os.getpid()}.part")
    aside.write_text(json.dumps(current(target).model.to_json()))
    aside.replace(file)
    return file


def import_model(
    path: Path | None = None, user_id: int | None = None, entity: str = DEFAULT_ENTITY
) -> ScoringModel:
    """Take a model from a file, retired until someone activates it. Raises DamagedModelError or OSError."""
    source = Path(path or settings.LEAD_SCORING_MODEL_PATH)
    try:
        raw = json.loads(source.read_text())
    except ValueError as error:
        raise DamagedModelError(f"{source.name} is no JSON") from error
    model = model_from_json(raw)
    row = ScoringModel(entity=entity, status=Status.RETIRED, artefact=raw, hash=raw["hash"])
    row.trained_by_id = user_id
    row.leads, row.wins = model.about.get("leads", 0), model.about.get("wins", 0)
    row.verdict = {"reason": f"read from {source.name}"}
    row.save()
    return row
