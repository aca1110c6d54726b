"""What tasks hand to each other: a request to forget, a model that was made, and what a task gave."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tmu.files import digest_of


@dataclass(frozen=True, eq=False)
class Forgotten:
    """A request. now: records of this deletion, bool (N,); gone: of this one and all before it. key: names both.

    first: in a stream of people, the records of the first ones, once more have gone.
    """

    now: Tensor
    gone: Tensor
    first: Tensor | None = None

    @property
    def key(self) -> str:
        """Digest of both masks."""
        return digest_of([[int(row) for row in mask.nonzero()[:, 0]] for mask in (self.now, self.gone)])


@dataclass(frozen=True)
class Made:
    """A kept model: its folder and the key by which later ones refer to it (inputs alone, so that code may differ)."""

    folder: Path
    key: str


@dataclass(frozen=True)
class Help:
    """What a method works with beside the data, made once for an original. twin: the fine-tuned one. table: outputs of
    the references. lessons: the twin that was fitted on the table.
    """

    twin: Made | None = None
    table: Made | None = None
    lessons: Made | None = None

    @property
    def made(self) -> tuple[Made, ...]:
        """Those that there are."""
        return tuple(each for each in (self.twin, self.table, self.lessons) if each is not None)


@dataclass(frozen=True)
class Step:
    """A deletion: what is asked for, the models before and after it, and the request before it in a stream."""

    request: Forgotten
    start: Made
    made: Made
    before: Forgotten | None = None


@dataclass(frozen=True)
class Result:
    """A task's outcome: rows for the results, a mask if it drew one, and why a method refused."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    mask: np.ndarray | None = None
    refused: str = ""
