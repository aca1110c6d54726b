"""Resume one deletion in this process and die by SIGKILL at a named point of its purge. Called by test_purge_crash.py.

python purge_child.py HOME POINT REQUEST        POINT `none` runs to the end and prints the outcome

Its stores are folders in `HOME/.planted/ORDER-NAME`, in which every file is a trace.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.integration.crash_child import die, on_call
from tmu.purge.scope import Scope
from tmu.purge.trace import Action, Holds, Trace

POINTS = ("planned", "first trace", "half a trace", "last store", "acted", "checked", "verified", "scrubbed")


class Folder:
    """A store that is a folder."""

    def __init__(self, folder: Path):
        self.folder, self.name = folder, folder.name.partition("-")[2]

    def find(self, scope: Scope) -> Iterator[Trace]:
        for path in sorted(self.folder.iterdir()):
            yield Trace(place=self.name, address=path.name, holds=Holds.IMAGES, action=Action.DESTROY)

    def purge(self, scope: Scope, trace: Trace) -> None:
        assert scope.records  # no trace is acted on without the keys
        (self.folder / trace.address).unlink(missing_ok=True)


def planted(workspace: Any) -> dict[int, list[Folder]]:
    """The stores by order."""
    folders = sorted(workspace.root.joinpath(".planted").iterdir())
    return {int(path.name.partition("-")[0]): [Folder(path)] for path in folders}


def after_call(function: Callable) -> Callable:
    """`function`, but the process dies right after it."""

    def called(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die()

    return called


def plant(point: str) -> None:
    """Put the death where it belongs."""
    import tmu.steps.purge as steps
    from tmu.deletion.journal import Journal

    if point == "first trace":
        Folder.purge = on_call(2, Folder.purge)
    elif point == "half a trace":
        Folder.purge = after_call(Folder.purge)
    elif point == "last store":
        real = Folder.purge
        Folder.purge = lambda self, scope, trace: die() if self.name == "ledger" else real(self, scope, trace)
    elif point in ("planned", "acted", "checked"):
        name = {"planned": "plan_purge", "acted": "act_purge", "checked": "check_purge"}[point]
        setattr(steps, name, after_call(getattr(steps, name)))
    elif point == "verified":
        steps.scrub_purge = die
    elif point == "scrubbed":
        advance = Journal.advance
        Journal.advance = lambda journal, deletion, stage, **facts: (
            die() if stage == "completed" else advance(journal, deletion, stage, **facts)
        )
    elif point != "none":
        raise SystemExit(f"no point {point}")


def main() -> None:
    home, point, request = sys.argv[1:4]
    import torch

    import tmu.steps.purge as steps
    from flows import certify as ended
    from flows.commands import delete
    from tmu.search.report import Outcome

    torch.set_num_threads(1)
    steps.by_order = planted
    # the workspace itself is not in these stores, and a search would rightly find what it still holds
    ended.search_deletion = lambda *_: SimpleNamespace(outcome=Outcome.PASS)
    plant(point)
    print(json.dumps(delete(home, request)))


if __name__ == "__main__":
    main()
