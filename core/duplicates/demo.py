"""Demo rules about duplicates."""

from core.entities.models import DuplicateRule


def add_duplicate_rule(name: str, entity: str, compare: str, across: str = "") -> None:
    """A rule that warns; one of this name that is there stays."""
    given = {"entity": entity, "compare": compare, "across": across}
    DuplicateRule.objects.get_or_create(
        name=name, defaults={**given, "on_create": DuplicateRule.OnCreate.WARN}
    )
