"""What lead scoring registers at start-up."""

from core import standalone_runner
from core.api import routes
from core.lead_scoring import (
    consumer,  # noqa: F401  (a consumer of changes)
    jobs,
    tasks,  # noqa: F401  (tasks are asked for by name)
    usage,  # noqa: F401  (a source of references)
)
from core.lead_scoring.api.leads import ScoringViewSet
from core.lead_scoring.api.models import (
    BarredFeatureViewSet,
    ScoringJobViewSet,
    ScoringModelViewSet,
    ScoringRulesViewSet,
)

# Before "scoring", whose addresses end in a lead's id.
routes.register("scoring/models", ScoringModelViewSet)
routes.register("scoring/jobs", ScoringJobViewSet)
routes.register("scoring/barred_features", BarredFeatureViewSet)
routes.register("scoring", ScoringRulesViewSet, "scoring_rules")
routes.register("scoring", ScoringViewSet)

standalone_runner.background_jobs.register("scoring", jobs.run_pending)
