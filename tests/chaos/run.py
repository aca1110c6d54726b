"""A cell from its request to its verdict."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos import facts
from tests.chaos.cells import Cell, effect_of
from tests.chaos.checks import judge
from tests.chaos.drive import MissedError, ask, await_frozen, finish, no_flow_left, seal, settle, start
from tests.chaos.extras import EXTRA
from tests.chaos.faults import INJECT
from tests.chaos.field import Deletion, Field

_TRIES = 3
"""How often a cell may miss its stage before it counts as red."""


@dataclass
class Verdict:
    """What became of a cell. wrong: by check; seconds: from the fault to the end of the request, and of all."""

    cell: Cell
    wrong: dict[str, str] = field(default_factory=dict)
    checked: list[str] = field(default_factory=list)
    attempts: int = 0
    seconds_to_complete: float = 0.0
    seconds: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)
    skipped: str = ""

    @property
    def survived(self) -> bool:
        """Whether every check held."""
        return bool(self.checked) and not self.wrong

    def as_json(self) -> dict[str, Any]:
        """The verdict for a file."""
        return asdict(self) | {"cell": str(self.cell), "survived": self.survived}


def run(ground: Field, cell: Cell) -> Verdict:
    """Run a cell. What goes wrong in the running of it makes it red, too."""
    began, verdict = time.monotonic(), Verdict(cell)
    verdict.skipped = cannot_be_run(ground, cell)
    if verdict.skipped:
        return verdict
    try:
        _extra(ground, verdict) if str(cell) in EXTRA else _disturbed(ground, verdict)
    except Exception as error:
        verdict.wrong["the cell itself"] = f"{type(error).__name__}: {error}"[:500]
    verdict.seconds = round(time.monotonic() - began, 2)
    return verdict


def cannot_be_run(ground: Field, cell: Cell) -> str:
    """Why a cell cannot be run here; empty where it can."""
    if cell.fault == "disk" and ground.no_disk:
        return f"no disk to fill: {ground.no_disk}"
    if cell.fault == "s3" and ground.servers.stack.settings.s3_server == "moto":
        return "the S3 store is moto, whose objects end with its process: install Ceph (`infra/install.sh`)"
    return ""


def undisturbed(ground: Field) -> Verdict:
    """A deletion that nothing disturbs: it must pass every check, and tells how many effects each stage has."""
    import json

    verdict = Verdict(Cell("none", "none"))
    began = time.monotonic()
    deletion = ask(ground)
    start(ground)
    finish(ground, deletion)
    verdict.seconds_to_complete = round(time.monotonic() - began, 2)
    _judged(ground, deletion, verdict)
    ground.effects = json.loads((ground.folder / "effects.json").read_text())
    verdict.seconds = round(time.monotonic() - began, 2)
    return verdict


def _disturbed(ground: Field, verdict: Verdict) -> None:
    cell = verdict.cell
    for attempt in range(_TRIES):
        deletion = ask(ground)
        start(ground, cell.stage, effect_of(cell, ground.effects[cell.stage], attempt))
        with no_flow_left(deletion):
            try:
                await_frozen(ground, deletion, cell.stage)
            except MissedError as error:
                deletion.note("missed its stage", why=str(error))
                verdict.log += deletion.log
                finish(ground, deletion)
                continue
            hit = time.monotonic()
            INJECT[cell.fault](ground, deletion)
            finish(ground, deletion)
            verdict.seconds_to_complete = round(time.monotonic() - hit, 2)
            _judged(ground, deletion, verdict)
            return
    verdict.wrong["the cell itself"] = f"missed its stage {_TRIES} times"


def _extra(ground: Field, verdict: Verdict) -> None:
    deletion = ask(ground)
    began = time.monotonic()
    with no_flow_left(deletion):
        wrong = EXTRA[str(verdict.cell)](ground, deletion)
        verdict.seconds_to_complete = round(time.monotonic() - began, 2)
        _judged(ground, deletion, verdict)
    verdict.checked.append(str(verdict.cell))
    if wrong:
        verdict.wrong[str(verdict.cell)] = wrong


def _judged(ground: Field, deletion: Deletion, verdict: Verdict) -> None:
    settle(ground, deletion)
    if verdict.cell.stage == "sealing":
        seal(ground, deletion)
    found = facts.gather(ground.workspace, ground.prefect, deletion.request, deletion.person, deletion.known)
    judged = judge(found)
    verdict.checked = list(judged)
    verdict.wrong |= {name: why for name, why in judged.items() if why}
    verdict.attempts = len(found.attempts)
    verdict.log += deletion.log
