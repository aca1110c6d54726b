"""`PurgeSummary`: what a purge did, by store; what the certificate's inventory is made of. It leads to nobody."""

from typing import Literal, get_args

from tmu.config import Config
from tmu.purge.trace import Action, Holds, Trace
from tmu.words import counted

Result = Literal["open", "gone", "stays", "failed"]
RESULTS: tuple[Result, ...] = get_args(Result)


class Line(Config):
    """Traces of one store that are alike.

    place: the store. count: how many traces. result: `gone`: acted on, and not found again; `stays`: by rule or lock,
    `until`; `open`: not acted on yet; `failed`: the store refused, or it was found again. why: the rule, the lock or
    the failure.
    """

    place: str
    action: Action
    holds: Holds
    count: int
    result: Result
    why: str = ""
    until: str = ""


class Model(Config):
    """A copy of a model's weights that learned them: which one, and what became of it."""

    trace: Trace
    result: Result


class PurgeSummary(Config):
    """A purge in numbers, JSON-ready.

    request: the deletion's id. tool: name and version of what acted. planned, acted, verified: times (ISO 8601, UTC);
    empty: not yet. places: all stores that were looked at, also those in which nothing was found. lines: the inventory.
    models: each copy of weights. n_records, n_subjects, n_shards: the size of the scope. commitments: SHA-256 over salt
    and sorted keys, by `records` and `subjects` (`tmu/purge/commitment.py`); the salt is destroyed with the keys.
    """

    format: Literal[1] = 1
    request: str
    tool: str
    planned: str
    acted: str = ""
    verified: str = ""
    places: tuple[str, ...]
    lines: tuple[Line, ...]
    models: tuple[Model, ...] = ()
    n_records: int
    n_subjects: int
    n_shards: int
    commitments: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether all that was to go is gone, as a second look at each store found."""
        return bool(self.verified) and all(line.result in ("gone", "stays") for line in self.lines)

    @property
    def sentence(self) -> str:
        """How it ended, in words."""
        counts = {result: sum(line.count for line in self.lines if line.result == result) for result in RESULTS}
        rest = ", ".join(f"{count} {what}" for what, count in _rest(counts, self.lines) if count)
        ended = "" if self.verified else "; it is not finished"
        gone = f"{counted(counts['gone'], 'trace')} in {counted(len(self.places), 'store')}"
        return f"Purged: {gone} {'is' if counts['gone'] == 1 else 'are'} gone{rest and f'; {rest}'}{ended}."

    @property
    def stays(self) -> tuple[Line, ...]:
        """What is still there, and why."""
        return tuple(line for line in self.lines if line.result == "stays")


def _rest(counts: dict[Result, int], lines: tuple[Line, ...]) -> list[tuple[str, int]]:
    """What is not gone: words and counts."""
    rules = sorted({f"{line.place}: {line.why.rstrip('.')}{line.until and f', until {line.until}'}" for line in lines
                    if line.result == "stays"})  # fmt: skip
    return [(f"stay ({'; '.join(rules)})", counts["stays"]), ("failed", counts["failed"]), ("wait", counts["open"])]
