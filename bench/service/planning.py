"""Ten thousand requests planned in one call, over the index of a million records; then planned once more."""

import multiprocessing
import resource
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from bench.service.intake import Rows
from bench.service.postgres import Postgres
from bench.service.records import make_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.errors import RequestError
from tmu.ledger.actor import Actor
from tmu.ledger.intake import Intake, receive_all
from tmu.ledger.plans import Bound
from tmu.ledger.store import Ledger
from tmu.steps.ledger.bind_plans import plan_requests
from tmu.workspace import Workspace

_OPERATOR, _PORTAL = Actor("operator", "token"), Actor("portal", "token")
_TOGETHER = 500


def measure(folder: Path, postgres: Postgres, *, records: int, requests: int) -> Rows:
    """Plan so many requests of a person each, who has ten records on average. Memory: of this process, all in all."""
    torch.set_num_threads(1)
    url = postgres.new_database()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:  # so that its memory is not counted
        other.submit(_prepare, folder, url, records, requests).result()
    workspace, ledger = Workspace.open(folder), Ledger.open(url)
    began = time.perf_counter()
    answers = plan_requests(workspace, ledger, None, _OPERATOR)
    seconds = time.perf_counter() - began
    again = time.perf_counter()
    same = plan_requests(workspace, ledger, list(answers), _OPERATOR)
    seconds_again = time.perf_counter() - again
    ledger.close()
    kinds = Counter(answer.state if isinstance(answer, Bound) else "refused" for answer in answers.values())
    refused = sum(isinstance(answer, RequestError) for answer in answers.values())
    changed = sum(answer.changed for answer in same.values() if isinstance(answer, Bound))
    return {
        "records": (records, ""),
        "requests": (len(answers), ""),
        "put_before_the_approver": (kinds["awaiting_approval"], ""),
        "refused_for_having_no_record": (refused, ""),
        "seconds": (seconds, "s"),
        "seconds_planned_once_more": (seconds_again, "s"),
        "changed_by_planning_once_more": (changed, ""),
        "mebibytes_at_most": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB"),
    }


def _prepare(folder: Path, url: str, records: int, requests: int) -> None:
    (folder / "params.yaml").write_text("{}")
    (folder / ".tmu").mkdir()
    keys = Keys(DEMO_SECRET)
    people = make_records(folder / "data", keys, records, max(requests, records // 10))
    ledger = Ledger.open(url)
    for first in range(0, requests, _TOGETHER):
        chosen = enumerate(people[first : min(first + _TOGETHER, requests)], first)
        intakes = [Intake(id=f"case-{n}", dataset="digits", subjects=(person,)) for n, person in chosen]
        receive_all(ledger, keys, intakes, _PORTAL)
    ledger.close()
