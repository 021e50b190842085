"""W1: messages are sent from one place, after the commit; nothing is scheduled through the broker."""

import ast

from backend.launch import BASE_DIR
from core import tasks

FOLDERS = ("backend", "core", "contacts", "opportunities", "lead_management", "tasks")
TASKS = {name for name, found in vars(tasks).items() if hasattr(found, "apply_async")}


def sent(source):
    """Calls that would put a message on the broker: `x.apply_async(…)`, `some_task.delay(…)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, value = node.func.attr, node.func.value
            owner = getattr(value, "id", getattr(value, "attr", ""))
            if name in ("apply_async", "send_task") or (name in ("delay", "retry") and owner in TASKS):
                yield name


def test_only_the_doorbell_sends_messages():
    sources = [path for folder in FOLDERS for path in (BASE_DIR / folder).rglob("*.py")]
    product = [path for path in sources if "tests" not in path.parts]
    found = [(str(path.relative_to(BASE_DIR)), call) for path in product for call in sent(path.read_text())]
    assert found == [("core/jobs.py", "apply_async")]


def test_the_search_finds_what_it_is_for():
    source = "send_mail.delay()\ntasks.run_workflows.retry(1)\nx.apply_async()\nSTEP.delay(1)\nq.retry(2)"
    assert list(sent(source)) == ["delay", "retry", "apply_async"]
