"""Plan requests of the ledger and bind the plans to them: one, or ten thousand. Nothing is written but these bindings.

The data revision is named once a call and its index is built once, in memory: kept, it would link erased records to
people after their erasure. What is bound, and hashed, is what an approver is shown. Whether an approval stands when a
request is planned again is decided by the plan's `essence` alone: a nightly batch gives a new revision, moves records
between shards and changes every forecast, and none of that is a reason to ask again.

Cost: the revision's bytes are read once for their digest and the keys once for the index; then under a millisecond a
request, and one transaction for 400 of them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmu.config import Params
from tmu.data.info import read_info
from tmu.data.store import RecordStore
from tmu.errors import RequestError, StorageError, TmuError
from tmu.files import canonical_json, digest_of
from tmu.ledger import plans
from tmu.ledger.actor import Actor
from tmu.ledger.asked import named_keys_of, waiting_for_a_plan
from tmu.ledger.errors import ConflictError
from tmu.ledger.plans import Bound, Wanted
from tmu.ledger.store import Ledger
from tmu.ledger.transition import Request
from tmu.steps.choose_method import Choice, Chooser
from tmu.steps.loading import data_ref
from tmu.steps.plan_deletion import Plan, Resolver
from tmu.steps.preflight import check_parameters
from tmu.workspace import Workspace

MOST = 10_000
"""Requests in one call."""


def plan_requests(
    workspace: Workspace,
    ledger: Ledger,
    requests: Sequence[str] | None,
    actor: Actor,
    method: str | None = None,
    *,
    renew: bool = False,
) -> dict[str, Bound | TmuError]:
    """Plan against the data as they are now, bind, and put before the approver; a plan that reaches a person on hold
    leaves its request `held`. Once more changes nothing where the plans say the same.

    requests: ids, or None for all that are queued, oldest first, at most MOST. method: by name, `auto`, or None for the
    one in params.yaml. renew: keep the method that was asked for the plan in force. The answers are by request: what
    was bound, or ConflictError for a request that cannot be planned in its state or is for another dataset,
    UnknownError, or RequestError where it cannot be honoured (see `plan_deletion`). Raises ConfigError, StorageError.
    """
    dataset = read_info(workspace.data).dataset
    with ledger.read() as connection:
        ids = waiting_for_a_plan(connection, dataset, MOST) if requests is None else list(dict.fromkeys(requests))
        rows = plans.rows_of(connection, ids)
        named, before = named_keys_of(connection, rows), _asked_before(connection, rows) if renew else {}
    answers: dict[str, Any] = {id_: plans.unfit(rows, id_) or _elsewhere(rows[id_], dataset) for id_ in ids}
    asked = [(rows[id_], *named[id_], before.get(id_, method)) for id_ in ids if answers[id_] is None]
    wanted = []
    if asked:
        planner = Planner(workspace)
        for row, subjects, records, its_method in asked:
            try:
                wanted.append(Wanted(row.id, *planner.plan(subjects, records, its_method)))
            except RequestError as error:
                answers[row.id] = error
    bound = plans.bind_all(ledger, wanted, actor, essence=essence, ask=True)
    return answers | dict(zip((each.request for each in wanted), bound, strict=True))


class Planner:
    """Plans requests against the record store as it is now. Raises StorageError where it changes meanwhile."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        before = _facts(workspace.data)
        self.data = data_ref(workspace)
        self.store = RecordStore.open(workspace.data, contents=workspace.contents)
        self.index = self.store.index()
        if _facts(workspace.data) != before:
            raise StorageError("The data changed while they were read.", "Plan again when the erasure has ended.")
        self._resolver = Resolver(self.store, self.data)
        self._choosers: dict[str | None, Chooser] = {}

    def plan(
        self, subjects: Sequence[str], records: Sequence[str], method: str | None
    ) -> tuple[dict[str, Any], list[str]]:
        """What is to be bound, and the subject keys of all whose records it touches. Raises RequestError."""
        plan = self._resolver.plan(*self._left(subjects, records))
        choice = self._chooser(method).choose(plan)
        return content(plan, choice, self._workspace.params), self.index.people_behind(plan.records)

    def _left(self, subjects: Sequence[str], records: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """What is named without what was erased at another request; all of it where nothing else is named."""
        index = self.index
        people = [key for key in subjects if not index.is_erased_subject(key) or len(index.find_subject(key))]
        single = [key for key in records if not index.is_erased(key)]
        return (people, single) if people or single else (subjects, records)

    def _chooser(self, method: str | None) -> Chooser:
        if method not in self._choosers:
            check_parameters(self.store, self._workspace.params, method)
            self._choosers[method] = Chooser(self._workspace, self.store, self.data.digest, method)
        return self._choosers[method]


def content(plan: Plan, choice: Choice, params: Params) -> dict[str, Any]:
    """What is bound: counts and digests, no key of a person or record. JSON-ready."""
    value = plan.as_json() | {"records_digest": digest_of(plan.records), "choice": choice.as_json()}
    value |= {"rules": _rules(params.with_method(choice.method))}
    value |= {"n_subjects_named": len(value.pop("subjects"))}
    return json.loads(canonical_json(value))


def _rules(params: Params) -> str:
    """A digest of what params.yaml says of the training, the method and the gates; not of what `auto` weighs."""
    return digest_of(params.model_dump(mode="json", exclude={"auto"}))


def essence(body: dict[str, Any]) -> dict[str, Any]:
    """What of a plan decides whether an approval of it stands: which records, of which classes, erased how, by which
    rules, how risky.

    Not in it: the data revision, the shards, the forecast, the reason, and the numbers behind the risk. Risk is whether
    it is high and whether the classes forbid the method; from `unknown` to `low` is no reason to ask again.
    """
    decided = ("records_digest", "n_records", "n_train", "n_subjects_named", "by_split", "by_class", "warnings")
    choice, risk = body["choice"], body["choice"]["risk"]
    return {name: body[name] for name in decided} | {
        "stays": body.get("stays", []),
        "rules": body.get("rules"),
        "method": choice["method"],
        "risk": [risk.get("level") == "high", risk.get("refusal") is not None],
    }


def _elsewhere(row: Request, dataset: str) -> ConflictError | None:
    if row.dataset == dataset:
        return None
    return ConflictError("The request is for another dataset than this workspace holds.", "Plan it where that lies.")


def _asked_before(connection: Any, rows: dict[str, Request]) -> dict[str, str]:
    """The methods that were asked for the plans in force."""
    bodies = plans.bodies_of(connection, rows)
    return {request: json.loads(body)["choice"]["asked"] for request, body in bodies.items()}


def _facts(folder: Path) -> list[tuple[str, int, int, int]]:
    """Names, times, inodes and sizes of a store's files: what changes when one is replaced."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.name, stat.st_mtime_ns, stat.st_ino, stat.st_size) for path in files for stat in (path.stat(),)]
