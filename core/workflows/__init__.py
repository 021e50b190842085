"""Workflow automation: what is to happen when, run so that nothing is lost, doubled or endless.

matching.py   changes → runs (the consumer of the change table)
starting.py   runs are inserted, once for each event; chains are judged
claiming.py   leases with fences
stepping.py   steps of runs that go together, in one transaction
batch.py      what these read, once for all of them
recording.py  what they leave behind, in one statement
engine.py     running what is due
"""

from core.workflows.engine import WorkflowEngine

__all__ = ["WorkflowEngine"]
