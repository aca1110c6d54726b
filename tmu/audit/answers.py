"""What one model says of records: asked once, and kept for the audits that come after.

The original of a deletion is the unlearned model of the deletion before, and both audits look at nearly the same
records: only those that are missing are asked about.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from tmu.errors import DataError
from tmu.files import write_atomic
from tmu.train import Examples
from tmu.train.fresh_head import Head, fit_head, some
from tmu.train.predict import batch_on, predict

_TENSORS = ("keys", "logits", "features")


@dataclass(frozen=True, eq=False)
class Answers:
    """Of N records: keys int64 (N,), logits float32 (N, K), features float32 (N, F), the inputs of the last layer."""

    keys: Tensor
    logits: Tensor
    features: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def lacks(self, keys: Tensor) -> Tensor:
        """Which of the records have no answer here, bool (N,)."""
        return ~torch.isin(keys, self.keys)

    def of(self, keys: Tensor) -> Self:
        """The answers on these records, in this order. Raises DataError where one has none."""
        if not len(keys):
            return self._take(keys)
        if bool(self.lacks(keys).any()):
            raise DataError("The model was not asked about all of these records.", "Audit again.")
        order = self.keys.argsort()
        return self._take(order[torch.searchsorted(self.keys[order], keys)])

    def joined(self, other: "Answers") -> Self:
        """These answers, then the other ones."""
        return type(self)(*(torch.cat([getattr(each, name) for each in (self, other)]) for name in _TENSORS))

    def save(self, path: Path) -> None:
        """Write as one safetensors file, atomically."""
        from safetensors.torch import save

        write_atomic(path, save({name: getattr(self, name).contiguous() for name in _TENSORS}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; a damaged or foreign file is a `DataError`."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            tensors = load_file(path)
            return cls(*(tensors[name] for name in _TENSORS))
        except (OSError, SafetensorError, KeyError) as error:
            raise DataError(f"The kept answers at {path} are damaged.", "Remove them and audit again.") from error

    def _take(self, rows: Tensor) -> Self:
        return type(self)(*(getattr(self, name)[rows] for name in _TENSORS))


def ask(
    model: nn.Module,
    examples: Examples,
    known: Answers | None = None,
    *,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> Answers:
    """The model's answers on the records, in their order; only those that `known` lacks go through the model.

    The last batch is filled up with a record that is asked about twice, since the last bits depend on the size of a
    batch: so the answers on a record are the same, whether it was asked about now or before, and with whom.
    """
    keys = examples.keys.cpu()
    rows = torch.arange(len(keys)) if known is None else known.lacks(keys).nonzero()[:, 0]
    if known is not None and not len(rows):
        return known.of(keys)
    size = batch_on(batch_size, device)
    filled = torch.cat([rows, rows[:1].expand(-len(rows) % size)])
    images = examples.take(filled.to(examples.keys.device)).images
    logits, features = (each[: len(rows)] for each in predict(model, images, batch_size=size, device=device))
    asked = Answers(keys[rows], logits, features)
    return asked if known is None else known.joined(asked).of(keys)


def fresh_head(answers: Answers, retain: Examples, records: int, seed: int) -> Head:
    """A head on the model's features of at most `records` retain records, by hash of key and `seed` (`head_refit`)."""
    chosen = some(retain, records, seed, "head refit")
    own = answers.of(chosen.keys.cpu())
    return fit_head(own.features, chosen.labels.cpu(), own.logits.shape[1])
