"""What AI clients' room registers at start-up."""

from core.agents import standard_tools  # noqa: F401  (they register themselves)
from core.agents.api.views import AgentGrantViewSet, AgentSessionViewSet
from core.api import routes

# Before the sessions, whose ids stand where its word does.
routes.register("agents/grants", AgentGrantViewSet, "agent_grants")
routes.register("agents", AgentSessionViewSet)
