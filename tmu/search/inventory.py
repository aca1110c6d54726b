"""The inventory: what a search before the purge found, for the search after it.

It leads to the person. It is the verifier's own file, mode 600, to be destroyed after the search after the purge.
"""

from pathlib import Path

from pydantic import Field, ValidationError

from tmu.config import Config
from tmu.errors import ConfigError
from tmu.files import write_atomic
from tmu.search.needles import Needles
from tmu.search.report import Model, NotLookedAt


class Holder(Config):
    """An object's version that held something of the person. bucket and key as they are."""

    bucket: str
    key: str
    version: str


class Revision(Config):
    """What a data revision held of the person: rows of the training set, and of any split."""

    train: int
    rows: int


class Inventory(Config):
    """revisions: by digest. covers: by digest of a forget set, whether it holds all the person's training records.

    alike: pictures of other people's records in the live data that equal or look like one of the person's. unanswered:
    places that did not answer, and may later.
    """

    taken: str
    needles: Needles
    holders: tuple[Holder, ...] = ()
    revisions: dict[str, Revision] = Field(default_factory=dict)
    covers: dict[str, bool] = Field(default_factory=dict)
    models: tuple[Model, ...] = ()
    alike: tuple[str, ...] = ()
    unanswered: tuple[NotLookedAt, ...] = ()

    def with_earlier(self, earlier: "Inventory | None") -> "Inventory":
        """With what an earlier one, of a search that this one was told of, knew besides."""
        if earlier is None:
            return self
        models = {each.weights: each for each in (*earlier.models, *self.models)}
        return self.model_copy(
            update={
                "holders": tuple(dict.fromkeys((*earlier.holders, *self.holders))),
                "models": tuple(models.values()),
                "alike": tuple(dict.fromkeys((*earlier.alike, *self.alike))),
            }
        )


def save(inventory: Inventory, path: Path) -> None:
    """Write it for its owner alone."""
    write_atomic(path, inventory.model_dump_json().encode())


def load(path: Path) -> Inventory:
    """Read it. Raises ConfigError for a file that is none, or that others may read."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by other accounts.", f"chmod 600 {path}")
        return Inventory.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"There is no inventory at {path}.", "`tmu verify-erasure --before FILE` makes one."
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{path} is no inventory.", "`tmu verify-erasure --before FILE` makes one.") from error
