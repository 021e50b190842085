"""The list of guards: what is broken, how, and which test must notice."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("guards.toml")


@dataclass(frozen=True)
class Guard:
    """One guard: `find` stands once in `file`; with `replace` in its place `test` fails."""

    name: str
    file: str
    find: str
    replace: str
    test: str

    def broken(self, text: str) -> str:
        """The file's text without the guard. Raises ValueError where it is not there, or not once."""
        if text.count(self.find) != 1:
            raise ValueError(f"{self.name}: stands {text.count(self.find)} times in {self.file}")
        return text.replace(self.find, self.replace)


def guards() -> list[Guard]:
    """All of them, as they are listed."""
    return [Guard(**given) for given in tomllib.loads(LIST.read_text())["guard"]]
