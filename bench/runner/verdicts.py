"""The audit without golds beside the truth: what it says of a model, and what the golds say of the same one.

A cell is a model of a forget set: an honest retrain (`second gold`), nothing done (`original`), the middle of original
and unlearned weights (`half-way`), or a method's. Its numbers:
- the verdict without golds, and the one against the golds of the seed (the floor gold is not among them); both are told
  that the weights differ, so that what they say rests on what the models answer;
- by person, and for requests of n records drawn from the forget set under R pairs of references: the share that is
  convicted at a false-alarm rate of 1 %;
- for a few of those requests, alone: the share that fails.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.runner.by_table import CONFIG, Sight, asked, asked_by, audited, with_pairs
from bench.runner.cache import load_net_state, load_outputs, read_run
from bench.runner.cells import TIMES, Number, as_rows
from bench.runner.engine import clock
from bench.runner.made import Forgotten, Made, Result
from bench.runner.models import Workshop
from bench.runner.plan import DEFAULT, HALF_WAY, OUTCOMES, Task, floor_gold
from bench.runner.references import references
from bench.suite import Verdicts
from tmu.audit.by_table import TableAudit, TableCase, audit_by_table
from tmu.audit.floor import floor_of
from tmu.audit.gate import judge
from tmu.audit.metrics import all_metrics
from tmu.audit.outputs import Outputs, Sets
from tmu.audit.table import ORIGINAL, AuditResult
from tmu.audit.view import Case, View
from tmu.errors import StorageError, TmuError
from tmu.train.order import hash_keys, stream

LEVEL = 0.01
_RULES = (
    *("activation_distance", "distance_gain", "average_gap", "head_distance", "head_distance_gain", "ua"),
    *("membership_auc", "accuracy_forget", "accuracy_retain", "accuracy_test"),
)


@dataclass(frozen=True, eq=False)
class Judged:
    """A model, what it is compared with, and the request."""

    model: Made
    original: Made
    golds: list[Made]
    table: Made
    request: Forgotten
    cost: float


def verdict(shop: Workshop, task: Task, request: Forgotten, golds: list[Made], makes: Any) -> Result:
    """The rows of a cell; `makes()` gives the method's model, and where it refuses, that is the result."""
    try:
        model = _model(shop, task, golds, makes)
    except StorageError:
        raise
    except TmuError as error:
        rows = as_rows(task.cells[0][0], task.row, task.number, 0.0, [("refused", 1.0, "")])
        return Result(rows, refused=f"{task}: {error}")
    left = [gold for gold in golds if gold.folder != golds[floor_gold(shop.suite, task.forget, task.number)].folder]
    cost = float(np.mean([read_run(gold.folder)["seconds"] for gold in golds]))
    table = references(shop, task.number)
    judged = Judged(model, shop.original(task.number), left, table, request, cost)
    started = clock(shop.device)
    found = numbers(shop, judged)
    return Result(as_rows(task.cells[0][0], task.row, task.number, clock(shop.device) - started, found))


def numbers(shop: Workshop, judged: Judged) -> list[Number]:
    """Every number of a cell."""
    sight = Sight.of(shop, judged.request)
    whole = audited(shop, sight, judged.model, judged.original, judged.table)
    found = [*outcome("table", whole.audit.verdict.outcome), *_people("people", whole.audit)]
    found += [(f"rules/{name}", float(said == "failed"), "share") for name, said in whole.audit.data["rules"].items()]
    found += [("seconds_audit", whole.seconds, "s"), ("seconds_ratio_audit", whole.seconds / judged.cost, TIMES)]
    found += outcome("golds", against_golds(shop, sight, judged))
    for pairs in shop.suite.verdicts.pairs:
        few = with_pairs(whole.case, pairs)
        for size in shop.suite.verdicts.sizes:
            found += _of_size(few, size, shop.suite.verdicts, f"{size}/{pairs}")
    return found


def against_golds(shop: Workshop, sight: Sight, judged: Judged) -> str:
    """The outcome of the gate that has golds (`tmu/audit/gate.py`)."""
    places, labels = sight.places, shop.ground.train.labels.cpu()
    kept = (~judged.request.gone).nonzero()[:, 0]
    sets = {"forget": labels[places["forget"]], "retain": labels[kept], "test": shop.ground.test.labels.cpu()}
    names = {f"gold {number}": gold for number, gold in enumerate(judged.golds)}
    views = {}
    for name, made in (*names.items(), (ORIGINAL, judged.original), ("judged", judged.model)):
        stored = load_outputs(made.folder)
        parts = {"forget": stored["train"][places["forget"].numpy()], "retain": stored["train"][kept.numpy()]}
        inner = asked(shop, sight, made).inner
        probed = None if inner is None else _Heads(inner["forget"])
        known = Sets({part: each.numpy() for part, each in sets.items()})
        views[name] = View(known, Outputs(parts | {"test": stored["test"]}), shop.suite.sample_seed, probed)
    return judge(_result(views, list(names)), "judged", CONFIG, weights_changed=True).outcome


@dataclass(frozen=True, eq=False)
class _Heads:
    """What the gate's rules need of the probes."""

    head_logits: np.ndarray


def _result(views: dict[str, View], golds: list[str]) -> AuditResult:
    """An audit's table with the numbers that the gate reads."""
    rows, sets = [], next(iter(views.values())).sets
    for name, view in views.items():
        others = tuple(views[gold] for gold in golds if gold != name)
        case = Case(view, others, views[ORIGINAL], view.seed, CONFIG.bootstrap, leave_one_out=name not in golds)
        asked = {metric: all_metrics()[metric] for metric in _RULES}
        cells = {metric: asdict(each.compute(case)) if each.possible(case) else None for metric, each in asked.items()}
        rows.append({"name": name, "seconds": None, "metrics": cells})
    floor = {metric: floor_of(rows, golds, metric) for metric in _RULES}
    return AuditResult({"records": sets.sizes(), "golds": golds, "rows": rows, "floor": floor})


def _of_size(case: TableCase, size: int, plan: Verdicts, name: str) -> Iterator[Number]:
    """Requests of `size` records each, drawn from the forget set without overlap."""
    keys = case.forget.rows.keys
    order = hash_keys(keys, stream(case.seed, "requests", size)).argsort(kind="stable")
    count = min(plan.requests, len(order) // size)
    if not count:
        return
    rows = order[: count * size]
    yield from _people(f"requests/{name}", audit_by_table(asked_by(case, rows, np.repeat(np.arange(count), size))))
    alone = [rows[number * size : (number + 1) * size] for number in range(min(plan.alone, count))]
    outcomes = [audit_by_table(asked_by(case, each, np.zeros(size, np.int64))).verdict.outcome for each in alone]
    for said in OUTCOMES:
        yield (f"alone/{name}/{said}", float(np.mean([each == said for each in outcomes])), "share")
    yield (f"alone/{name}/count", float(len(outcomes)), "requests")


def _people(name: str, audit: TableAudit) -> list[Number]:
    """How many were judged, and the share of them that is convicted."""
    p_values = audit.outer.people["unlearned"].member
    return [(f"{name}/found", float((p_values <= LEVEL).mean()), "share"), (f"{name}/count", float(len(p_values)), "")]


def outcome(name: str, found: str) -> list[Number]:
    return [(f"{name}/{each}", float(found == each), "share") for each in OUTCOMES]


def _model(shop: Workshop, task: Task, golds: list[Made], makes: Any) -> Made:
    if task.row == "original":
        return shop.original(task.number)
    if task.row == "second gold":
        return golds[floor_gold(shop.suite, task.forget, task.number)]
    return half_way(shop, shop.original(task.number), makes(DEFAULT)) if task.row == HALF_WAY else makes(task.row)


def half_way(shop: Workshop, original: Made, unlearned: Made) -> Made:
    """The model in the middle of both: an unlearning step that stopped half done."""
    key = shop.cache.key({"half-way": [original.folder.name, unlearned.folder.name]}, *shop.net_code)

    def build(folder: Path, run: dict[str, Any]) -> None:
        first, second = (load_net_state(made.folder) for made in (original, unlearned))
        net = shop.net(unlearned)
        net.load_state_dict({name: _middle(first[name], second[name]) for name in first})
        run.update(seconds=read_run(unlearned.folder)["seconds"])
        shop.keep(folder, net)

    return shop.made("half-way", key, build)


def _middle(first: Tensor, second: Tensor) -> Tensor:
    return torch.lerp(first, second, 0.5) if first.is_floating_point() else second
