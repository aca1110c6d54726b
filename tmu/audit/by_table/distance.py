"""How far a model's answers on the forgotten records lie from those of references that never saw them.

Mean over records of || softmax - q ||_2, q the mean of the unseen references' probabilities, of which one pair is left
out in turn. q's true-class margin is mapped quantile to quantile from the references' margins on never-seen records to
the original's, since an answer learned from twice as many records is surer. Floor: the unseen network of the pair left
out, against the same mean without mapping; the farthest ends over the pairs count. Some people are answered by every
network in its own way: for a request of one person the floor reaches at least as far as 99 of 100 never-seen people of
the sample, over as many records. Networks that learned from half of D differ more among themselves than retrained
models do: the floor is wide, never narrow. With one pair there is no floor.
"""

from dataclasses import dataclass

import numpy as np

from tmu.audit.bootstrap import Value, average, mean_value
from tmu.audit.by_table.case import MODELS, Part, TableCase
from tmu.audit.by_table.law import LEVEL
from tmu.audit.by_table.layer import layer_of, unseen_nets
from tmu.audit.outputs import softmax
from tmu.errors import DataError

_FARTHEST = float(np.sqrt(2))


@dataclass(frozen=True)
class Distance:
    """models: by name. gain: the original's less the unlearned model's, paired. floor: among the references."""

    models: dict[str, Value]
    gain: Value
    floor: Value | None

    @property
    def told_apart(self) -> bool:
        """Whether the original lies beyond the floor."""
        return self.floor is not None and self.models["original"].value > self.floor.high

    @property
    def closed(self) -> float:
        """Share of the way from the original to the floor. Raises DataError of one pair, which has no floor."""
        if self.floor is None:
            raise DataError("One pair of references shows no floor.", "Fit two pairs or more: `references.pairs`.")
        return self.gain.value / max(self.models["original"].value - self.floor.value, 1e-9)


def distance_of(case: TableCase, *, inner: bool = False) -> Distance:
    """On the forget set, of outputs or of fresh heads."""
    labels, logits = case.forget.labels, case.forget.outputs(inner=inner)
    mapping = _mapping(case, inner)
    to_models: dict[str, list[np.ndarray]] = {name: [] for name in MODELS}
    for _, mean in _left_out(case.forget, case.seed, inner):
        wanted = _mapped(mean, labels, *mapping)
        for name in MODELS:
            to_models[name].append(np.linalg.norm(softmax(logits[name]) - wanted, axis=1))
    per_record = {name: np.mean(each, 0) for name, each in to_models.items()}
    gain = per_record["original"] - per_record["unlearned"]
    return Distance(
        {name: _value(case, each) for name, each in per_record.items()},
        mean_value(gain, (-_FARTHEST, _FARTHEST), case.config.bootstrap, case.seed),
        _floor(case, inner) if case.pairs > 1 else None,
    )


def _left_out(part: Part, seed: int, inner: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each pair: probabilities (N, K) of its unseen network, and the mean of the others; of one pair, its own."""
    rows = part.rows.inner if inner else part.rows.logp
    if rows is None:
        raise DataError("The table has no fresh heads.", "Fit the references with `references.inner: true`.")
    outputs = rows.exp().double().numpy()
    never = outputs[np.arange(len(part))[:, None], unseen_nets(part, seed)]  # (N, R, K)
    pairs = range(never.shape[1])
    if len(pairs) == 1:
        return [(never[:, 0], never[:, 0])]
    return [(never[:, drop], never[:, [pair for pair in pairs if pair != drop]].mean(1)) for drop in pairs]


def _floor(case: TableCase, inner: bool) -> Value:
    values = [_value(case, each) for each in _among(case.forget, case.seed, inner)]
    high = max(each.high for each in values)
    if len(np.unique(case.forget.subjects)) == 1:
        high = max(high, _farthest_people(case, inner))
    return Value(average(values).value, min(each.low for each in values), high)


def _among(part: Part, seed: int, inner: bool) -> list[np.ndarray]:
    """Distance (N,) of each pair's unseen network to the mean of the others'."""
    return [np.linalg.norm(own - mean, axis=1) for own, mean in _left_out(part, seed, inner)]


def _farthest_people(case: TableCase, inner: bool) -> float:
    """What 99 of 100 staying people stay below, each over at most as many records as the request has; 0 without any."""
    size, part = len(case.forget), case.retain
    order = np.argsort(part.subjects, kind="stable")
    people = np.split(order, np.flatnonzero(np.diff(part.subjects[order])) + 1)
    chosen = [rows[:size] for rows in people if len(rows) >= size / 2]
    among = _among(part, case.seed, inner)
    found = [each[rows].mean() for each in among for rows in chosen]
    return float(np.quantile(found, 1 - LEVEL)) if found else 0.0


def _value(case: TableCase, per_record: np.ndarray) -> Value:
    return mean_value(np.minimum(per_record, _FARTHEST), (0.0, _FARTHEST), case.config.bootstrap, case.seed)


def _mapping(case: TableCase, inner: bool) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of the references' margins on never-seen records, and of the original's."""
    test = layer_of(case, inner=inner).test
    places = np.linspace(0, 1, 201)
    return np.quantile(test.unseen, places), np.quantile(test.margins["original"], places)


def _mapped(mean: np.ndarray, labels: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) with the true-class margin moved from the one law to the other, the rest in proportion."""
    rows = np.arange(len(labels))
    true = np.clip(mean[rows, labels], 1e-6, 1 - 1e-6)
    margin = np.log(true / (1 - true))
    moved = np.interp(margin, ours, theirs) + margin - np.clip(margin, ours[0], ours[-1])
    wanted = 1 / (1 + np.exp(-moved))
    found = mean * ((1 - wanted) / (1 - true))[:, None]
    found[rows, labels] = wanted
    return found
