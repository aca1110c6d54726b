"""The references' outputs for some records, in memory.

Half of the networks have learned a given record of D; the others show what a model says that never saw it. No network
has learned a record of the hold-out or the test set.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tmu.errors import DataError

FLOOR = -12.0  # least log-probability


@dataclass(frozen=True, eq=False)
class ReferenceRows:
    """N records under M networks of K classes.

    keys: int64 (N,), 64 bits of each record's HMAC key. labels: int64 (N,). seen: bool (N, M), which networks learned
    the record. logp: float32 (N, M, K) log-probabilities, at least `FLOOR`. inner: the same of each network's body with
    a fresh head (`tmu/audit/probes/head_refit.py`), or None where it was not asked for.
    """

    keys: Tensor
    labels: Tensor
    seen: Tensor
    logp: Tensor
    inner: Tensor | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nets(self) -> int:
        """M."""
        return self.seen.shape[1]

    def take(self, rows: Tensor) -> "ReferenceRows":
        """The given rows (index or boolean mask), in that order."""
        inner = None if self.inner is None else self.inner[rows]
        return ReferenceRows(self.keys[rows], self.labels[rows], self.seen[rows], self.logp[rows], inner)

    def aligned(self, keys: Tensor) -> "ReferenceRows":
        """The rows of these records, in this order. Raises DataError where a record has none."""
        order = self.keys.argsort()
        place = torch.searchsorted(self.keys[order], keys).clamp_max(max(0, len(self) - 1))
        rows = order[place] if len(self) else place
        missing = len(keys) if not len(self) else int((self.keys[rows] != keys).sum())
        if missing:
            raise DataError(
                f"The references have no outputs of {missing} of {len(keys)} records.",
                "Run `tmu references fit`; with `references.most_records` the table is of a part of the data.",
            )
        return self.take(rows)

    def without(self, nets: list[int]) -> "ReferenceRows":
        """The same records without some networks: to treat one of those as a gold."""
        kept = [net for net in range(self.nets) if net not in nets]
        inner = None if self.inner is None else self.inner[:, kept]
        return replace(self, seen=self.seen[:, kept], logp=self.logp[:, kept], inner=inner)

    def unseen(self, *, inner: bool = False) -> Tensor:
        """Mean probabilities (N, K) of the networks that never saw the record."""
        return self._mean(~self.seen, inner)

    def learned(self, *, inner: bool = False) -> Tensor:
        """Mean probabilities (N, K) of the networks that learned the record; NaN for one that none learned."""
        return self._mean(self.seen, inner)

    def margins(self, *, inner: bool = False) -> Tensor:
        """Logit-scaled confidence log p_y / (1 - p_y), float32 (N, M), within ±13.8."""
        logp = self._outputs(inner)
        true = logp.gather(2, self.labels[:, None, None].expand(-1, self.nets, 1))[:, :, 0]
        return true.double().exp().clamp(1e-6, 1 - 1e-6).logit().float()

    def _mean(self, which: Tensor, inner: bool) -> Tensor:
        weights = which.float()
        total = (self._outputs(inner).exp() * weights[:, :, None]).sum(1)
        return total / weights.sum(1, keepdim=True)

    def _outputs(self, inner: bool) -> Tensor:
        if not inner:
            return self.logp
        if self.inner is None:
            raise DataError(
                "The references hold no outputs of inner layers.", "Fit them with `references.inner: true`."
            )
        return self.inner
