"""Which changes followers are told of: said by the apps, in their registration.py."""

from dataclasses import dataclass

from core.registry import Registry


@dataclass(frozen=True)
class Watch:
    """A column of an entity. With `above`, only a change from at most that number to more of it counts."""

    entity: str
    column: str
    type: str = "update"
    above: int | None = None


watches: Registry[Watch] = Registry("watched column")


def watch(entity: str, column: str, *, type: str = "update", above: int | None = None) -> Watch:
    """Tell followers of `entity` when `column` changes (or rises `above` a number)."""
    return watches.register(f"{entity}.{column}", Watch(entity, column, type, above))


def watched(entity: str) -> list[Watch]:
    return [w for w in watches if w.entity == entity]
