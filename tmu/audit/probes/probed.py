"""What the probes found in one model: arrays and counts from which the audit's metrics are computed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from tmu.audit.probes.relearn import Relearned
from tmu.errors import DataError
from tmu.files import write_atomic

_ARRAYS = ("head_logits", "residual_hits", "residual_draws", "relearn_steps", "relearn_censored")


@dataclass(frozen=True, eq=False)
class Probed:
    """One model's probes. N forget records, K classes, n probed records: the same ones for every model of an audit.

    head_logits: float32 (N, K), the forget set under the model's body with a fresh head (`head_refit.py`).
    residual_hits: int64 (n,), how many of `residual_draws` noisy views of a record are given its class.
    relearned: steps of training on n forget records until their accuracy is the original's again.
    """

    head_logits: np.ndarray
    residual_hits: np.ndarray
    residual_draws: int
    relearned: Relearned

    def save(self, path: Path) -> None:
        """Write as one safetensors file, atomically."""
        from safetensors.numpy import save

        counts = (self.residual_draws, self.relearned.steps, int(self.relearned.censored))
        values = (self.head_logits, self.residual_hits, *(np.array([count], np.int64) for count in counts))
        write_atomic(path, save({name: np.ascontiguousarray(each) for name, each in zip(_ARRAYS, values, strict=True)}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; a damaged or foreign file is a `DataError`."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(Path(path).read_bytes())
            logits, hits, draws, steps, censored = (arrays[name] for name in _ARRAYS)
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(f"The saved probes at {path} are damaged.", "Remove them and audit again.") from error
        return cls(logits, hits, int(draws[0]), Relearned(int(steps[0]), bool(censored[0])))


def check_probed(probed: Probed, records: int, row: str) -> None:
    """Refuse probes of other records than the forget set's `records`, or of a diverged model."""
    if len(probed.head_logits) != records:
        raise DataError(
            f"`{row}` was probed on {len(probed.head_logits)} forget records, the audit has {records}.",
            "Probe all models on the audit's own forget set.",
        )
    if not np.isfinite(probed.head_logits).all():
        raise DataError(f"The probes of `{row}` are not all numbers.", "The model has diverged: unlearn again.")
