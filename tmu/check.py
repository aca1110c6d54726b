"""One finding of `tmu doctor`: what was looked at, what was found, and what fixes it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Check:
    """A finding. state: ok, warn or fail.

    hint: the next step in words, empty where it is ok. repair: does that step and says what it did, where a program
    can do it safely; `tmu doctor --fix` calls it.
    """

    name: str
    state: str
    text: str
    hint: str = ""
    repair: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """What programs are told: the fields, and whether `--fix` can fix it."""
        fixable = self.state != "ok" and self.repair is not None
        return {"name": self.name, "state": self.state, "text": self.text, "hint": self.hint, "fixable": fixable}
