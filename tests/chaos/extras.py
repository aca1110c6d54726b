"""The cells outside the matrix. Each returns what was wrong beyond the checks that every deletion must pass."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable

from infra.stack.place import ROOT
from tests.chaos import ground
from tests.chaos.drive import await_frozen, finish, start, thaw
from tests.chaos.field import Deletion, Field, attempts_of, until
from tests.chaos.late import cancel_training, late_after, late_beside
from tests.chaos.proxy import switch

_SECONDS_AWAY = 130.0
"""Longer than all retries of a task together (5 + 30 + 60 s)."""
Extra = Callable[[Field, Deletion], str | None]


def together_deployment(field: Field, deletion: Deletion) -> str | None:
    """Two runs of the deployment: Prefect's limit makes the second wait, and then there is nothing left for it."""
    runs = [start(field), start(field)]
    finish(field, deletion)
    ends = [field.prefect.await_end(run, 180) for run in runs]
    deletion.note("runs ended", states=ends)
    if ends != ["COMPLETED", "COMPLETED"]:
        return f"the runs ended as {ends}"
    return _one_attempt(field, deletion)


def together_processes(field: Field, deletion: Deletion) -> str | None:
    """Two processes that Prefect's limit does not know of; the ledger lets one of them publish."""
    call = (
        "from flows.runtime import prepare; prepare(''); from flows.nightly_batch import nightly_batch_flow as f; f()"
    )
    storage = str(field.servers.stack.home / ".tmu" / "prefect" / "results")
    environment = os.environ | {"PREFECT_LOCAL_STORAGE_PATH": storage, "PREFECT_LOGGING_LEVEL": "WARNING"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", call], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    ends = []
    for process in processes:
        with process:
            said = process.communicate(timeout=300)[1].decode(errors="replace").strip().splitlines()
            ends.append((process.returncode, said[-1][:200] if process.returncode and said else ""))
    deletion.note("processes ended", ends=ends)
    finish(field, deletion)
    return None if any(code == 0 for code, _ in ends) else "neither process succeeded"


def away_s3(field: Field, deletion: Deletion) -> str | None:
    """S3 stays away until the tasks give up: the batch stays open, and goes on once the store answers."""
    start(field, "auditing", 3)
    await_frozen(field, deletion, "auditing")
    try:
        switch(field.servers.control, "refuse")
        deletion.note("S3: refuse")
        thaw(deletion)
        finish(field, deletion, _SECONDS_AWAY)
        attempts = attempts_of(field, deletion)
    finally:
        switch(field.servers.control, "pass")
        deletion.note("S3: pass")
    finish(field, deletion)
    return None if attempts == 1 else f"{attempts} attempts while S3 was away"


def away_disk(field: Field, deletion: Deletion) -> str | None:
    """The disk stays full until the tasks give up; `reconcile` waits for room and burns no attempts."""
    home = field.servers.stack.home
    if field.no_disk:
        return f"no disk to fill: {field.no_disk}"
    start(field, "auditing", 3)
    await_frozen(field, deletion, "auditing")
    try:
        deletion.note("disk full", bytes=ground.fill(home))
        thaw(deletion)
        finish(field, deletion, _SECONDS_AWAY)
        attempts = attempts_of(field, deletion)
    finally:
        ground.free(home)
        deletion.note("disk free")
    finish(field, deletion)
    return None if attempts == 1 else f"{attempts} attempts while the disk was full"


def end_slots(field: Field, deletion: Deletion) -> str | None:
    """Nothing holds a slot, and the deployment `verify` finds everything in order."""
    start(field)
    finish(field, deletion)
    names = ("gpu", "dvc-writer")
    with contextlib.suppress(TimeoutError):
        until(lambda: not any(field.prefect.slots(name) for name in names), 200)
    taken = {name: field.prefect.slots(name) for name in names}
    ended = field.prefect.await_end(field.prefect.start("verify"), 180)
    deletion.note("at the end", slots=taken, verify=ended)
    return None if not any(taken.values()) and ended == "COMPLETED" else f"slots {taken}, verify {ended}"


EXTRA: dict[str, Extra] = {
    "together/deployment": together_deployment,
    "together/processes": together_processes,
    "late/beside": late_beside,
    "late/after": late_after,
    "cancel/training": cancel_training,
    "away/s3": away_s3,
    "away/disk": away_disk,
    "end/slots": end_slots,
}


def _one_attempt(field: Field, deletion: Deletion) -> str | None:
    count = attempts_of(field, deletion)
    return None if count == 1 else f"{count} attempts instead of one"
