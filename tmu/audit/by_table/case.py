"""What the audit without golds works on: forgotten, staying and never-seen records under two models and the references.

The order of records is one for logits, rows and subjects of a part.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from tmu.audit.unseen import LEAST_UNSEEN
from tmu.config import AuditConfig
from tmu.errors import DataError, ModelError
from tmu.references.rows import ReferenceRows

MODELS = ("unlearned", "original")


@dataclass(frozen=True, eq=False)
class Part:
    """N records. logits: float32 (N, K) by model (`unlearned`, `original`). rows: the references' outputs of them.

    subjects: int64 (N,), one number a person; equal numbers in two parts are one person. inner: the same logits with
    fresh heads (`tmu/audit/probes/head_refit.py`), or None where nobody looked. acquainted: of records that no model
    learned, bool (N, M), which networks learned others of the same person; None where D holds none of these people.
    """

    logits: dict[str, np.ndarray]
    rows: ReferenceRows
    subjects: np.ndarray
    inner: dict[str, np.ndarray] | None = None
    acquainted: np.ndarray | None = None

    def __post_init__(self) -> None:
        for given in (self.logits, self.inner):
            if given is not None:
                self._check(given)
        if len(self.subjects) != len(self.rows):
            raise DataError(f"There are {len(self.subjects)} subjects for {len(self.rows)} records.", "Give one each.")
        if self.acquainted is not None and self.acquainted.shape != tuple(self.rows.seen.shape):
            raise DataError("Who knows whom is not said for every record and network.", "Give bool (N, M).")

    def _check(self, given: dict[str, np.ndarray]) -> None:
        for name in MODELS:
            shape = (len(self.rows), self.rows.logp.shape[2])
            if name not in given or given[name].shape != shape:
                raise DataError(
                    f"The outputs of the {name} model do not fit the references' rows {shape}.",
                    "Compute them on the same records, in the order of the rows.",
                )
            if not np.isfinite(given[name]).all():
                raise ModelError(
                    f"The outputs of the {name} model are not all numbers.",
                    "The model has diverged: train or unlearn again with a lower learning rate.",
                )

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> "Part":
        """The given rows (index), in that order."""
        logits = {name: each[rows] for name, each in self.logits.items()}
        inner = self.inner and {name: each[rows] for name, each in self.inner.items()}
        known = None if self.acquainted is None else self.acquainted[rows]
        return Part(logits, self.rows.take(torch.from_numpy(rows)), self.subjects[rows], inner, known)

    def of_pairs(self, pairs: int) -> "Part":
        """The same records under the first `pairs` pairs of references alone."""
        known = None if self.acquainted is None else self.acquainted[:, : 2 * pairs]
        rows = self.rows.without(list(range(2 * pairs, self.rows.nets)))
        return replace(self, rows=rows, acquainted=known)

    def outputs(self, *, inner: bool = False) -> dict[str, np.ndarray]:
        """Logits by model, of the outputs or of fresh heads. Raises DataError where nobody looked at those."""
        if not inner:
            return self.logits
        if self.inner is None:
            raise DataError("The models' inner layers were not looked into.", "Give the logits of fresh heads, too.")
        return self.inner

    @property
    def labels(self) -> np.ndarray:
        """True classes, int64 (N,)."""
        return self.rows.labels.numpy()


@dataclass(frozen=True, eq=False)
class TableCase:
    """One deletion to be judged.

    forget: D_f. retain: a sample of the people who stay. test: records that no model learned, of people whom the
    audited models know or of such as nobody does. config: what the rules allow. method: name of the row that is judged.
    weights_changed, parameters_moved: as for `gate.judge`.
    """

    forget: Part
    retain: Part
    test: Part
    config: AuditConfig
    seed: int = 0
    method: str = "unlearned"
    weights_changed: bool = True
    parameters_moved: float | None = None

    def __post_init__(self) -> None:
        if not len(self.forget):
            raise DataError("No training record was forgotten.", "There is nothing to audit.")
        if not len(self.retain) or len(self.test) < LEAST_UNSEEN:
            raise DataError(
                f"{len(self.test)} never-seen and {len(self.retain)} staying records cannot bound false alarms at 1 %.",
                f"Give at least {LEAST_UNSEEN} never-seen records and one of somebody who stays.",
            )
        if len({part.rows.nets for part in self.parts.values()}) > 1 or self.forget.rows.nets % 2:
            raise DataError("The references are not pairs of networks.", "Run `tmu references fit`.")

    @property
    def parts(self) -> dict[str, Part]:
        """By name: forget, retain, test."""
        return {"forget": self.forget, "retain": self.retain, "test": self.test}

    @property
    def pairs(self) -> int:
        """R: as many networks never saw a given record of D."""
        return self.forget.rows.nets // 2

    @property
    def classes(self) -> int:
        """K."""
        return self.forget.rows.logp.shape[2]

    @property
    def has_inner(self) -> bool:
        """Whether models and references were looked into."""
        return all(part.inner is not None and part.rows.inner is not None for part in self.parts.values())
