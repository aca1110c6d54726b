"""`python -m tests.chaos`: run the cells that are not measured yet, store them, and write the tables."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import results
from bench.stamp import stamp
from tests.chaos import cells, facts, ground, table
from tests.chaos.cells import Cell
from tests.chaos.field import Field
from tests.chaos.prefect_side import Prefect
from tests.chaos.run import Verdict, run, undisturbed
from tests.chaos.servers import started
from tmu.deletion.journal import Journal
from tmu.errors import TmuError
from tmu.steps.ledger.batch import open_work
from tmu.stores.lock import locked

_LEAST = 30
"""People left in a workspace below which it is made anew, so that every class stays."""
_UNITS = {"survived": "1 = yes", "seconds_to_complete": "s", "attempts": ""}
_NOISE = ("intake", "deadline-watch", "reconcile")
"""Deployments whose schedules are paused: `reconcile` is started where a cell needs it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Exit code 1 where a cell is red."""
    asked = _parse(arguments)
    wanted = cells.chosen(asked.only)
    todo = wanted if asked.fresh else [cell for cell in wanted if cell not in _green(asked.results)]
    if asked.list:
        print("\n".join(f"{cell}{'' if cell in todo else '  (measured)'}" for cell in wanted))
        return 0
    say(f"{len(wanted)} cells, {len(todo)} to do; logs: {asked.folder}")
    with locked(asked.folder / ".lock"):  # one at a time in a folder
        red = _all(asked, todo)
    table.render(asked.results, *([asked.docs] if asked.docs else []))
    for verdict in red:
        say(f"RED {verdict.cell}: {verdict.wrong}")
    return int(bool(red or todo))


def _all(asked: argparse.Namespace, todo: list[Cell]) -> list[Verdict]:
    """Session after session until nothing is left to do, or one could run no cell; the red cells."""
    red: list[Verdict] = []
    while todo:
        left = len(todo)
        red += _session(asked, todo)
        if len(todo) == left:
            say("No cell could be run.")
            break
    return red


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="STAGE/FAULT", help="also with *; repeatable")
    parser.add_argument("--fresh", action="store_true", help="run cells again that were green before")
    parser.add_argument("--list", action="store_true", help="show the cells, run nothing")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tmu-chaos", help="takes the logs")
    parser.add_argument("--seconds", type=float, default=300, help="how long a deletion may take; more under load")
    parser.add_argument("--first-port", type=int, default=26_000)
    parser.add_argument("--results", type=Path, default=None, help="folder of the stored rows, for tries")
    parser.add_argument("--docs", type=Path, default=None, help="page that takes the table; default docs/chaos.md")
    return parser.parse_args(arguments)


def _green(folder: Path | None) -> set[Cell]:
    rows = results.read(table.SUITE, folder).to_pylist()
    return {Cell(row["forget_set"], row["method"]) for row in rows if row["metric"] == "survived" and row["value"]}


def _session(asked: argparse.Namespace, todo: list[Cell]) -> list[Verdict]:
    """One workspace with its servers: cells are taken from `todo` until people run out or the stack breaks."""
    folder = asked.folder.resolve()
    home, state = folder / "workspace", folder / "stack"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    shutil.rmtree(state, ignore_errors=True)
    red = []
    with ground.disk(home) as no_disk:
        if no_disk:
            shutil.rmtree(home, ignore_errors=True)
        ground.make(home, state)
        with started(home, folder, asked.first_port, say) as servers:
            field = Field(servers, Prefect(servers.stack.prefect), folder, no_disk, seconds=asked.seconds)
            for name in _NOISE:
                field.prefect.pause(name)
            try:
                undisturbed(field)  # the first one also trains the model that it unlearns from
                _kept(asked, undisturbed(field))
            except Exception:
                _keep_logs(state / "logs", folder / "logs" / "undisturbed-servers")
                raise
            while todo and len(facts.candidates(field.workspace)) > _LEAST:
                verdict = run(field, todo.pop(0))
                _kept(asked, verdict)
                if not verdict.survived and not verdict.skipped:
                    red.append(verdict)
                    _keep_logs(state / "logs", folder / "logs" / f"{verdict.cell}-servers".replace("/", "-"))
                    if field.servers.ill() or _stuck(field):
                        break
    return red


def _keep_logs(logs: Path, target: Path) -> None:
    """What the servers said up to a red cell."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(logs, target)


def _stuck(field: Field) -> bool:
    """Whether a request is left unfinished, so that no further one would be served."""
    return open_work(field.workspace) is not None or bool(Journal(field.workspace).unfinished())


def _kept(asked: argparse.Namespace, verdict: Verdict) -> None:
    """Write the cell's log, store its rows, say a line."""
    name = str(verdict.cell).replace("/", "-")
    (asked.folder / "logs" / f"{name}.json").write_text(json.dumps(verdict.as_json(), indent=1, default=str))
    if verdict.skipped:
        say(f"skip  {verdict.cell}: {verdict.skipped}")
        return
    values = {
        "survived": float(verdict.survived),
        "seconds_to_complete": verdict.seconds_to_complete,
        "attempts": float(verdict.attempts),
    }
    origin = {"command": f"python -m tests.chaos --only '{verdict.cell}'", **stamp(threads=1)}
    rows = [
        {
            "dataset": "digits",
            "forget_set": verdict.cell.stage,
            "method": verdict.cell.fault,
            "seed": 0,
            "metric": metric,
            "value": value,
            "unit": _UNITS[metric],
            "seconds": verdict.seconds,
            **origin,
        }
        for metric, value in values.items()
    ]
    results.add(table.SUITE, rows, asked.results, cells=True)
    colour = "green" if verdict.survived else "RED  "
    facts_ = f"{verdict.seconds_to_complete:.0f} s, {verdict.attempts} attempts, cell {verdict.seconds:.0f} s"
    say(f"{colour} {verdict.cell}: {facts_}{'' if verdict.survived else f' {verdict.wrong}'}")


def say(text: str) -> None:
    """A line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TmuError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
