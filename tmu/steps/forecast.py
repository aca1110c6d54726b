"""What the ways to answer a request cost, before any work starts: retraining, the method, its audit, what both rest on.

Seconds are those of the same work done here before, where there was some; else record visits times the speed of the
trainings here. The references and the twin problems on them are fitted once and serve many requests: each bears a part
(`auto.requests_per_references`). Costs: `docs/references.md`.
"""

import math
from dataclasses import dataclass
from typing import Any

from tmu.audit.unseen import looked_at
from tmu.config import Params
from tmu.deletion.plan import RETRAIN, Cost
from tmu.refs import DataRef, ReferencesRef
from tmu.steps.fit_reference_twin import find_reference_twin
from tmu.steps.history import Ended, History, passes_of
from tmu.steps.problem_visits import visits_of_problems
from tmu.steps.read_references import find_references, read_info, read_run
from tmu.steps.renewal import renewal_of
from tmu.twin.shape import shape_of_step
from tmu.unlearn import needs_references, needs_statistics, needs_twin, read_options
from tmu.unlearn.finetune import recipe_of
from tmu.workspace import Workspace

AUDIT_GOLDS = 2
"""Models that an audit with golds retrains for comparison, besides the request's own."""
_PASSES = 2  # over the data, of a method whose options name no steps
_PASSES_A_VISIT = 2  # records that an audit asks a model about, in the time that a training takes for one
_NOTHING = Cost(0, 0.0, True)


@dataclass(frozen=True)
class Sizes:
    """Training records to forget and that stay, hold-out records that stay. person: training records of one person."""

    forget: int
    kept: int
    held: int
    person: int = 1

    @property
    def train(self) -> int:
        """All training records there are now."""
        return self.forget + self.kept


@dataclass(frozen=True)
class Table:
    """The references of a data revision. deletions: erased with it so far. seconds: of the fit. buckets: with rows.

    twin: whether their twin problems are fitted. due: why they must be renewed; empty where they serve on.
    """

    ref: ReferencesRef
    deletions: int
    erased: int
    n_train: int
    buckets: frozenset[int]
    seconds: float
    twin: bool
    due: tuple[str, ...]

    @classmethod
    def of(cls, workspace: Workspace, data: DataRef, params: Params) -> "Table | None":
        """The table that was fitted for a revision or left by a deletion, due for renewal or not."""
        ref = find_references(workspace, data, params)
        if ref is None:
            return None
        info, renewal = read_info(workspace, ref), renewal_of(workspace, ref, params)
        seconds = float(read_run(workspace, ref)["seconds_total"])
        due = renewal.reasons if renewal.state == "due" else ()
        counts = {"deletions": info["deletions"], "erased": info["erased_records"], "n_train": info["n_train"]}
        twin = find_reference_twin(workspace, ref, params) is not None
        return cls(ref=ref, **counts, buckets=frozenset(info["buckets"]), seconds=seconds, twin=twin, due=due)


@dataclass(frozen=True)
class Forecast:
    """retrain: exact retraining. alone: the method. audit: its proof. twin: what it needs for this request alone.

    networks, problems: the references, and the twin problems on them, which serve many; to_fit, problems_to_fit: they
    have still to be paid. among: requests that share them. deletions: served from the table before.
    """

    retrain: Cost
    alone: Cost
    twin: Cost = _NOTHING
    audit: Cost = _NOTHING
    networks: Cost = _NOTHING
    problems: Cost = _NOTHING
    to_fit: bool = False
    problems_to_fit: bool = False
    among: int = 1
    deletions: int = 0

    @property
    def once(self) -> Cost:
        """What serves many requests, as a whole."""
        return self.networks + self.problems

    @property
    def left(self) -> Cost:
        """What of it has still to be paid."""
        networks = self.networks if self.to_fit else _NOTHING
        return networks + (self.problems if self.problems_to_fit else _NOTHING)

    @property
    def part(self) -> Cost:
        """The request's part of what serves many."""
        return self.once.shared(self.among)

    @property
    def own(self) -> Cost:
        """What this request and its proof take by themselves."""
        return self.alone + self.twin + self.audit

    @property
    def whole(self) -> Cost:
        """What decides: its own, and its part of what has still to be paid."""
        return self.own + self.left.shared(self.among)

    @property
    def pays_from(self) -> int | None:
        """The deletion from which on references and twin have cost less than retraining would; None: never."""
        if not self.once.visits:
            return None
        costs = (self.retrain, self.own, self.once)
        known = [cost.seconds for cost in costs if cost.seconds is not None]
        retrain, own, once = known if len(known) == len(costs) else [cost.visits for cost in costs]
        return math.ceil(once / (retrain - own)) if retrain > own else None


class Forecaster:
    """Forecasts of one method on one data revision."""

    def __init__(self, workspace: Workspace, params: Params, method: str, data: DataRef) -> None:
        self._params, self._method, self._data = params, method, data
        self._history = History(workspace, params)
        self._own = params.with_method(method).unlearn.options
        self.by_table = (
            method != RETRAIN and not params.ridge_head and (needs_references(method) or not params.audit.golds)
        )
        self.table = Table.of(workspace, data, params) if self.by_table else None

    @property
    def audits(self) -> list[Ended]:
        """How earlier audits of the method ended."""
        return self._history.audited(self._method, self._own)

    def forecast(self, sizes: Sizes) -> Forecast:
        """By the sizes, on which alone it depends."""
        visits = passes_of(self._params.train) * sizes.kept
        retrain = self._cost(visits, self._history.seconds_per_visit() and self._history.seconds_per_visit() * visits)
        if self._method == RETRAIN:
            return Forecast(retrain, retrain)
        measured = self._history.seconds_unlearning(self._method, self._own)
        made = {"alone": self._cost(self._step(sizes), measured), "twin": self._twin(sizes)}
        made |= {"audit": self._audit(retrain, sizes)}
        return Forecast(retrain, **made, **(self._once(sizes) if self.by_table else {}))

    def _cost(self, visits: int, seconds: float | None) -> Cost:
        speed = self._history.seconds_per_visit()
        return Cost(visits, seconds if seconds is not None else (speed and speed * visits), seconds is not None)

    def _step(self, sizes: Sizes) -> int:
        """Record visits of the method alone."""
        options = read_options(self._method, self._own)
        if needs_references(self._method):
            return shape_of_step(sizes.forget).visits
        if needs_statistics(self._method):
            return sizes.forget
        if hasattr(options, "steps"):
            recipe = recipe_of(self._params.train, options.steps, self._params.train.lr, sizes.train)
            return recipe.epochs * sizes.train
        return _PASSES * sizes.train

    def _audit(self, retrain: Cost, sizes: Sizes) -> Cost:
        """Its proof: by recomputation, by the table, or by retrained golds.

        By the table: what such audits took here. Before there is one, both models are taken to be asked about all
        records that it looks at (`looked_at`).
        """
        if self._params.ridge_head:
            return self._cost(retrain.visits, self._history.seconds_recomputation())
        if self._params.audit.golds:
            return retrain.times(AUDIT_GOLDS)
        beside = sum(min(number, sizes.kept) for number in looked_at(self._params.audit.sample).values())
        asked = 2 * (sizes.forget + beside)
        return self._cost(round(asked / _PASSES_A_VISIT), self._history.seconds_audit())

    def _twin(self, sizes: Sizes) -> Cost:
        """The fine-tuned twin of the methods that need one."""
        if not needs_twin(self._method) or self._history.has_twin(self._data.digest):
            return _NOTHING
        twin = self._params.twin
        epochs = twin.train.epochs + twin.curriculum_nets * twin.curriculum_epochs
        return self._cost(epochs * (sizes.train + sizes.held), self._history.seconds_twin())

    def _once(self, sizes: Sizes) -> dict[str, Any]:
        """The networks of the references, each of which learns half of D, and the twin problems on their table."""
        training, table = self._params.train.epochs * sizes.train, self.table
        measured = table.seconds if table else self._history.seconds_references()
        networks, problems = self._cost(self._params.references.pairs * training, measured), _NOTHING
        if needs_references(self._method):
            visits = visits_of_problems(sizes.train, sizes.held, sizes.person)
            problems = self._cost(visits, self._history.seconds_reference_twin())
        there = table if table is not None and not table.due else None
        fitted = there is not None and there.twin
        to_fit = {"to_fit": there is None, "problems_to_fit": bool(problems.visits) and not fitted}
        among = self._params.auto.requests_per_references
        deletions = there.deletions if there else 0
        return {"networks": networks, "problems": problems, **to_fit, "among": among, "deletions": deletions}


def shown(forecast: Forecast, method: str) -> dict[str, Cost]:
    """Costs by name: each way as a whole; the method's parts; and what the part of the references is a part of."""
    if method == RETRAIN:
        return {RETRAIN: forecast.retrain}
    parts: dict[str, Any] = {"twin": forecast.twin, "audit": forecast.audit, "references": forecast.part}
    parts |= {"networks": forecast.networks, "twin problems": forecast.problems}
    ways = {RETRAIN: forecast.retrain, f"{method} alone": forecast.alone}
    return ways | {name: cost for name, cost in parts.items() if cost.visits} | {method: forecast.whole}
