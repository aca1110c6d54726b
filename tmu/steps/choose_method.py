"""Which method answers a request: forecast cost and risk before any work starts. Reads only; nothing is written.

`auto` weighs its approximate method against exact retraining. The rules, in this order: retrain where the references
leave out records of the request, or its classes make the hold-out no guide to a method that learns from it
(`class_mix.py`); where the method failed two of its last three audits; where retraining is the cheaper way (
`forecast.py`); else the approximate method. Why so: `docs/decisions/0005-auto.md`.
"""

from functools import cached_property

import numpy as np

from tmu.config import AUTO, EXACT_HEAD
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.deletion.plan import RETRAIN, Choice, Resolved, Risk
from tmu.refs import DataRef
from tmu.steps.check_shift import learns_from_holdout
from tmu.steps.forecast import Forecast, Forecaster, Sizes, shown
from tmu.steps.foresee_mix import foresee_mix
from tmu.steps.history import Ended
from tmu.steps.recipe_warnings import recipe_warnings
from tmu.steps.table_sets import too_few_unseen
from tmu.twin.class_mix import ClassShift
from tmu.unlearn import needs_references
from tmu.words import counted
from tmu.workspace import Workspace

RECENT, TOO_MANY = 3, 2  # of the last three audits, two failed
_LOOKED_AT = 2000  # training records, to tell how many a person has
_PAIRS = 2  # one is judged by what the others foresee (`tmu/twin/rates.py`)
_OFFERED = f"The model has a ridge head, and `{EXACT_HEAD}` reads the erased records alone."
_BY_EQUALITY = "It is exact. Recomputation is the proof: no references, twin or golds are needed."
MAY_WAIT = (
    "Where the audit is inconclusive, as it mostly is for few records, the new model waits "
    "(`audit.inconclusive: wait`): the request is completed, and until the next one the model stays in service that "
    "learned these records."
)
_RETIRED = "A class goes as a whole: exact retraining removes its output."


class Chooser:
    """Chooses for many plans of one data revision: what is the same for all of them is looked up once."""

    def __init__(self, workspace: Workspace, store: RecordStore, data: DataRef, asked: str | None = None) -> None:
        self._params, self._store = workspace.params, store
        self._configured = asked is None
        self._asked = asked or self._params.unlearn.method
        self._method = self._params.method_of_auto if self._asked == AUTO else self._asked
        self._forecaster = Forecaster(workspace, self._params, self._method, data)
        self._forecasts: dict[Sizes, Forecast] = {}

    def choose(self, resolved: Resolved) -> Choice:
        """The method for what a request touches."""
        if not resolved.n_train:
            reason = "None of these records is a training record: nothing is to be unlearned."
            return Choice(asked=self._asked, method=self._method, reason=reason)
        counts = self._counts(resolved)
        forecast = self._forecast(counts)
        if resolved.retires:
            return Choice(asked=self._asked, method=RETRAIN, reason=_RETIRED, forecast={RETRAIN: forecast.retrain})
        if self._params.ridge_head:
            return self._of_ridge_head(forecast)
        choice = decide(self._asked, self._method, forecast, self._against(resolved, counts), self._audits)
        notes = self._notes(resolved) if choice.method != RETRAIN else ()
        said = {"notes": (*recipe_warnings(self._params, int(self._totals[1].sum())), *notes)}
        if self._configured and self._asked != AUTO:
            said |= {"reason": f"`{self._method}` is configured."}
        return choice.model_copy(update=said)

    def _of_ridge_head(self, forecast: Forecast) -> Choice:
        """Either way is exact, and proved by equality; the audits that failed are all that speaks against one."""
        recent = self._audits[-RECENT:]
        failed = recent.count("failed")
        method, said = self._method, f"`{self._method}` {'is configured' if self._configured else 'was requested'}."
        if self._asked == AUTO and failed >= TOO_MANY:
            method, said = RETRAIN, f"`{self._method}` failed {failed} of its last {len(recent)} audits."
        elif self._asked == AUTO:
            said = _OFFERED
        doubted = method != RETRAIN and failed >= TOO_MANY
        risk = Risk(level="high" if doubted else "low", audits=len(recent), failed=failed)
        costs = shown(forecast, method)
        return Choice(asked=self._asked, method=method, reason=f"{said} {_BY_EQUALITY}", forecast=costs, risk=risk)

    def _notes(self, resolved: Resolved) -> tuple[str, ...]:
        """What the references are about to need, and what may come of the audit: sentences for the plan."""
        return (*self._of_table(resolved), *self._may_wait())

    def _may_wait(self) -> tuple[str, ...]:
        audit = self._params.audit
        return (MAY_WAIT,) if audit.inconclusive == "wait" and not audit.golds else ()

    def _of_table(self, resolved: Resolved) -> tuple[str, ...]:
        table = self._forecaster.table
        if table is None:
            return ()
        if table.due:
            return (f"The references are fitted anew first: {' '.join(table.due)}",)
        limit, share = self._params.references.renew_erased, (table.erased + resolved.n_train) / table.n_train
        if share < limit:
            return ()
        return (f"After this request the references are due: {100 * share:.1f} % of D is erased since their fit.",)

    def _against(self, resolved: Resolved, counts: list[np.ndarray]) -> "str | ClassShift | None":
        """What forbids the method, or the class mix that may: text for the references, counts for the hold-out."""
        table = self._forecaster.table
        absent = len(set(resolved.shards) - table.buckets) if table else 0
        held, least = int(counts[2].sum()), 2 * len(self._store.info.live)
        if few := self._unaudited(resolved):
            return few
        if needs_references(self._method) and self._params.references.pairs < _PAIRS:
            return f"their twin problems need {_PAIRS} pairs of networks (`references.pairs`)"
        if needs_references(self._method) and held < least:
            return f"the hold-out has {held} records, and their twin problems need {least}"
        if absent:
            return f"they hold no rows of {counted(absent, 'shard')} of the {len(resolved.shards)} that it touches"
        if self._learns_from_holdout:
            return foresee_mix(*counts, names=self._store.info.classes, seed=self._params.seed)
        return None

    def _unaudited(self, resolved: Resolved) -> str | None:
        """Why no audit by the references is possible; None where one is, or where none is asked for."""
        if self._method == RETRAIN or self._params.audit.golds:
            return None
        return too_few_unseen(self._store, self._store.index().find_records(resolved.records)[0])

    @cached_property
    def _learns_from_holdout(self) -> bool:
        return learns_from_holdout(self._method)

    @cached_property
    def _audits(self) -> list[Ended]:
        return self._forecaster.audits

    def _forecast(self, counts: list[np.ndarray]) -> Forecast:
        sizes = Sizes(*(int(part.sum()) for part in counts), self._person)
        if sizes not in self._forecasts:
            self._forecasts[sizes] = self._forecaster.forecast(sizes)
        return self._forecasts[sizes]

    @cached_property
    def _totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Training and hold-out records by class (K,)."""
        counts, classes = self._store.counts(), self._store.info.classes
        train, held = (np.array([counts[split][name] for name in classes]) for split in ("train", "holdout"))
        return train, held

    @cached_property
    def _person(self) -> int:
        """About how many training records a person has, by the people of the first shards."""
        index = self._store.index()
        train = np.flatnonzero(index.splits == SPLITS.index("train"))
        some = train[np.argsort(index.buckets[train], kind="stable")[:_LOOKED_AT]]
        return round(len(some) / max(1, len(np.unique(index.subject_keys[some]))))

    def _counts(self, resolved: Resolved) -> list[np.ndarray]:
        """Records by class (K,) of forget set, retain set, and hold-out without what is to be erased of it."""
        index, (train, held) = self._store.index(), self._totals
        rows = index.find_records(resolved.records)[0]
        splits, labels = index.splits[rows], index.labels[rows]
        forget, lost = (
            np.bincount(labels[splits == SPLITS.index(name)], minlength=len(train)) for name in ("train", "holdout")
        )
        return [forget, train - forget, held - lost]


def decide(
    asked: str, method: str, forecast: Forecast, against: "str | ClassShift | None", audits: list[Ended]
) -> Choice:
    """The rules. against: why the references cannot be used; or the class mix, for a method that learns from the
    hold-out; or None. audits: how they ended, oldest first; those that could tell nothing speak for nothing.
    """
    recent, mix = audits[-RECENT:], against if isinstance(against, ClassShift) else None
    failed, unsure = recent.count("failed"), recent.count("inconclusive")
    refusal = mix.refusal() if mix else against if isinstance(against, str) else None
    chosen, reason = RETRAIN, ""
    if asked != AUTO:
        chosen, reason = method, f"`{method}` was requested."
    elif refusal:
        reason = f"The {'hold-out' if mix else 'references'} cannot be used here: {refusal}."
    elif failed >= TOO_MANY:
        reason = f"`{method}` failed {failed} of its last {len(recent)} audits."
    elif forecast.retrain.below(forecast.whole):
        reason = f"Retraining is cheaper: {_compared(forecast, method)}"
    else:
        chosen, reason = method, f"`{method}` is not more expensive than retraining: {_compared(forecast, method)}"
    level = "high" if refusal or failed >= TOO_MANY else ("low" if unsure < len(recent) else "unknown")
    level = "low" if chosen == RETRAIN else level  # it never sees the records, whatever became of another method
    told = {"audits": len(recent), "failed": failed, "inconclusive": unsure}
    risk = Risk(level=level, **told, refusal=refusal, classes=mix.as_json() if mix else None)
    shared = ("pays_from", "deletions", "to_fit", "problems_to_fit", "among")
    once = {name: getattr(forecast, name) for name in shared}
    return Choice(asked=asked, method=chosen, reason=reason, forecast=shown(forecast, method), risk=risk, **once)


def _compared(forecast: Forecast, method: str) -> str:
    whole, retrain = forecast.whole, forecast.retrain
    parts = [f"{forecast.twin} of it for the twin"] if forecast.twin.visits else []
    if forecast.left.visits:
        parts.append(f"{forecast.left.shared(forecast.among)} of it as its part of the references")
    said = "".join(f", {part}" for part in parts)
    basis = "measured here" if whole.measured and retrain.measured else "an estimate from numbers of records"
    return f"{retrain} against {whole} with `{method}` and its audit{said} ({basis})."
