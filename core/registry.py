"""One small class for everything that registers itself: entities, workflow actions, consumers, features."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class DuplicateKeyError(ValueError):
    """Two things registered under one key: a programming error, raised at start-up."""


class UnknownKeyError(LookupError):
    """Nothing is registered under this key; the message names what is."""


class Registry(Generic[T]):
    """A typed mapping that is filled at start-up and only read afterwards."""

    def __init__(self, noun: str) -> None:
        self.noun = noun
        self._items: dict[str, T] = {}

    def register(self, key: str, item: T) -> T:
        """Add `item`; raises DuplicateKeyError when `key` is taken."""
        if key in self._items:
            raise DuplicateKeyError(f"{self.noun} {key!r} is registered twice")
        self._items[key] = item
        return item

    def __getitem__(self, key: str) -> T:
        try:
            return self._items[key]
        except (KeyError, TypeError):
            known = ", ".join(sorted(self._items)) or "none"
            raise UnknownKeyError(f"unknown {self.noun} {key!r}; known: {known}") from None

    def get(self, key: str) -> T | None:
        return self._items.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def keys(self) -> list[str]:
        return sorted(self._items)

    def items(self) -> list[tuple[str, T]]:
        """Keys with what is registered under them, in order of the keys."""
        return sorted(self._items.items(), key=lambda item: item[0])
