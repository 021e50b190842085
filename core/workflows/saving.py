"""What follows when a workflow was saved."""

from core.workflows import inbound
from core.workflows.models import Workflow
from core.workflows.operations import release_held_runs


def take_up(workflow: Workflow) -> str:
    """Read what the database numbered, let held runs of an active workflow go on, and where its trigger needs
    an address give it one, with a secret that is returned this once."""
    is_new = workflow.trigger_type == inbound.TRIGGER and not workflow.hook_key
    secret = inbound.new_secret(workflow) if is_new else ""
    workflow.refresh_from_db(fields=["version", "entity"])
    if workflow.is_active:
        release_held_runs(workflow)
    return secret
