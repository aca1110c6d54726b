"""Which method answers a request: forecast cost and risk before any work starts. Reads only; nothing is written.

`auto` weighs its approximate method against exact retraining. The rules, in this order: retrain where the request's
classes make the hold-out no guide (`class_mix.py`), where the method failed two of its last three audits, or where
retraining is the cheaper way; else the approximate method. Why so: `docs/decisions/0005-auto.md`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tmu.config import AUTO, Params
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.deletion.plan import RETRAIN, Choice, Cost, Resolved, Risk
from tmu.steps.check_shift import learns_from_holdout
from tmu.steps.foresee_mix import foresee_mix
from tmu.steps.history import History
from tmu.twin.class_mix import ClassShift
from tmu.unlearn import needs_twin, read_options
from tmu.unlearn.finetune import recipe_of
from tmu.workspace import Workspace

RECENT, TOO_MANY = 3, 2  # of the last three audits, two failed
_RETIRED = "A class goes as a whole: exact retraining removes its output."
_PASSES = 2  # over the data, of a method whose options name no steps


@dataclass(frozen=True)
class Forecast:
    """What the ways cost: retraining, the method alone, and its part of the twin that has to be fitted."""

    retrain: Cost
    alone: Cost
    twin: Cost

    @property
    def whole(self) -> Cost:
        """The method with its part of the twin."""
        return self.alone + self.twin


class Chooser:
    """Chooses for many plans of one data revision: what is the same for all of them is looked up once."""

    def __init__(self, workspace: Workspace, store: RecordStore, data_digest: str, asked: str | None = None):
        self._params, self._store, self._data = workspace.params, store, data_digest
        self._configured = asked is None
        self._asked = asked or self._params.unlearn.method
        self._method = self._params.auto.method if self._asked == AUTO else self._asked
        self._own = self._params.with_method(self._method).unlearn.options
        self._history = History(workspace, self._params)
        self._forecasts: dict[tuple[int, ...], Forecast] = {}

    def choose(self, resolved: Resolved) -> Choice:
        """The method for what a request touches."""
        if not resolved.n_train:
            reason = "None of these records is a training record: nothing is to be unlearned."
            return Choice(asked=self._asked, method=self._method, reason=reason)
        counts = self._counts(resolved)
        if resolved.retires:
            return Choice(asked=self._asked, method=RETRAIN, reason=_RETIRED, forecast=self._retraining(counts))
        mix = None
        if self._learns_from_holdout:
            mix = foresee_mix(*counts, names=self._store.info.classes, seed=self._params.seed)
        choice = decide(self._asked, self._method, self._forecast(counts), mix, self._audits)
        if self._configured and self._asked != AUTO:
            return choice.model_copy(update={"reason": f"`{self._method}` is configured."})
        return choice

    def _retraining(self, counts: list[np.ndarray]) -> dict[str, Cost]:
        return {RETRAIN: self._forecast(counts).retrain}

    @cached_property
    def _learns_from_holdout(self) -> bool:
        return learns_from_holdout(self._method)

    @cached_property
    def _audits(self) -> list[bool]:
        return self._history.audited(self._method, self._own)

    def _forecast(self, counts: list[np.ndarray]) -> Forecast:
        """By the sums of the counts, on which alone it depends."""
        sums = tuple(int(part.sum()) for part in counts)
        if sums not in self._forecasts:
            made = _forecast(self._history, self._params, self._method, self._own, counts, self._data)
            self._forecasts[sums] = made
        return self._forecasts[sums]

    @cached_property
    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Training and hold-out records by class (K,)."""
        counts, classes = self._store.counts(), self._store.info.classes
        train, held = (np.array([counts[split][name] for name in classes]) for split in ("train", "holdout"))
        return train, held

    def _counts(self, resolved: Resolved) -> list[np.ndarray]:
        """Records by class (K,) of forget set, retain set, and hold-out without what is to be erased of it."""
        index, (train, held) = self._store.index(), self._totals
        rows = index.find_records(resolved.records)[0]
        splits, labels = index.splits[rows], index.labels[rows]
        forget, lost = (
            np.bincount(labels[splits == SPLITS.index(name)], minlength=len(train)) for name in ("train", "holdout")
        )
        return [forget, train - forget, held - lost]


def decide(asked: str, method: str, forecast: Forecast, mix: ClassShift | None, audits: list[bool]) -> Choice:
    """The rules. mix: None for a method that learns nothing from the hold-out. audits: passed or not, oldest first."""
    recent = audits[-RECENT:]
    failed, refusal = recent.count(False), mix.refusal() if mix else None
    chosen, reason = RETRAIN, ""
    if asked != AUTO:
        chosen, reason = method, f"`{method}` was requested."
    elif refusal:
        reason = f"The hold-out cannot be used here: {refusal}."
    elif failed >= TOO_MANY:
        reason = f"`{method}` failed {failed} of its last {len(recent)} audits."
    elif forecast.retrain.below(forecast.whole):
        reason = f"Retraining is cheaper: {_compared(forecast, method)}"
    else:
        chosen, reason = method, f"`{method}` is not more expensive than retraining: {_compared(forecast, method)}"
    level = "high" if refusal or failed >= TOO_MANY else ("low" if recent else "unknown")
    risk = Risk(level=level, audits=len(recent), failed=failed, refusal=refusal, classes=mix.as_json() if mix else None)
    return Choice(asked=asked, method=chosen, reason=reason, forecast=_shown(forecast, method), risk=risk)


def _forecast(
    history: History, params: Params, method: str, own: dict[str, Any], counts: list[np.ndarray], data: str
) -> Forecast:
    forget, kept, held = (int(part.sum()) for part in counts)
    options, speed = read_options(method, own), history.seconds_per_visit()

    def cost(visits: int, seconds: float | None) -> Cost:
        return Cost(visits, seconds if seconds is not None else (speed and speed * visits), seconds is not None)

    retrain = params.train.epochs * kept
    if method == RETRAIN:
        visits = retrain
    elif hasattr(options, "steps"):
        visits = recipe_of(params.train, options.steps, params.train.lr, forget + kept).epochs * (forget + kept)
    else:
        visits = _PASSES * (forget + kept)
    if not needs_twin(method) or history.has_twin(data):
        twin = Cost(0, 0.0, True)
    else:
        seen = _twin_visits(params, forget + kept, held)
        twin = cost(seen, history.seconds_twin()).shared(params.auto.requests_per_twin)
    return Forecast(
        cost(retrain, speed and speed * retrain), cost(visits, history.seconds_unlearning(method, own)), twin
    )


def _twin_visits(params: Params, train: int, held: int) -> int:
    """One round of fine-tuning and the curriculum nets on D and D_h, and the cross-fit models on D."""
    epochs = params.twin.train.epochs + params.twin.curriculum_nets * params.twin.curriculum_epochs
    return epochs * (train + held) + (params.train.epochs * train if params.twin.cross_fit else 0)


def _compared(forecast: Forecast, method: str) -> str:
    whole, retrain = forecast.whole, forecast.retrain
    twin = f", {forecast.twin} of it for the twin" if forecast.twin.visits else ""
    basis = "measured here" if whole.measured and retrain.measured else "an estimate from numbers of records"
    return f"{retrain} against {whole} with `{method}`{twin} ({basis})."


def _shown(forecast: Forecast, method: str) -> dict[str, Cost]:
    """Costs by name: each way as a whole; and the method's parts."""
    if method == RETRAIN:
        return {RETRAIN: forecast.retrain}
    ways = {RETRAIN: forecast.retrain, f"{method} alone": forecast.alone, "twin": forecast.twin}
    return ways | {method: forecast.whole}
