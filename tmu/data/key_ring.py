"""The file of the keys' secrets: the current one and the former ones, each with a version and an id.

A file of bytes without this form is one secret, version 1: what `tmu init` makes. A rotation adds a secret and destroys
none, because what was erased under a former one is recognised by that one alone.
"""

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from tmu.config import Config
from tmu.data.keys import Keys
from tmu.errors import ConfigError
from tmu.files import canonical_json, write_atomic
from tmu.provenance import now

_MARK = b'{"form":"tmu key ring"'
_BYTES = 32


class Secret(Config):
    """One secret. made: ISO time. id: as `Keys.id`."""

    version: int = Field(ge=1)
    made: str
    secret: str = Field(pattern="^([0-9a-f]{2})+$", repr=False)

    @property
    def bytes(self) -> bytes:
        """As `Keys` takes it."""
        return bytes.fromhex(self.secret)

    @property
    def id(self) -> str:
        """Tells secrets apart without giving them away."""
        return Keys(self.bytes).id


class KeyRing(Config):
    """Secrets by version, ascending; the last one is current."""

    form: Literal["tmu key ring"] = "tmu key ring"
    secrets: tuple[Secret, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ascending(self) -> "KeyRing":
        if [each.version for each in self.secrets] != list(range(1, len(self.secrets) + 1)):
            raise ValueError("versions are not 1, 2, 3, ...")
        return self

    @property
    def current(self) -> Secret:
        """Under which new imports are keyed."""
        return self.secrets[-1]

    @property
    def keys(self) -> Keys:
        """The current keys, with the former ones."""
        return self._keys(self.secrets)

    def under(self, key_id: str) -> Keys | None:
        """The keys of a store by the id that it names, with those before; None for a secret that is not here."""
        for number, each in enumerate(self.secrets, 1):
            if each.id == key_id:
                return self._keys(self.secrets[:number])
        return None

    def rotated(self) -> "KeyRing":
        """With one more secret, which is current from then on."""
        new = Secret(version=self.current.version + 1, made=now(), secret=secrets.token_hex(_BYTES))
        return KeyRing(secrets=(*self.secrets, new))

    @staticmethod
    def _keys(some: tuple[Secret, ...]) -> Keys:
        *former, current = some
        return Keys(current.bytes, former=[each.bytes for each in reversed(former)])


def read_ring(path: Path) -> KeyRing:
    """The ring in a file. Raises ConfigError for one that is damaged."""
    raw = path.read_bytes()
    try:
        if raw.startswith(_MARK):
            return KeyRing.model_validate(json.loads(raw))
        made = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        Keys(raw)  # refuses one that is too short
        return KeyRing(secrets=(Secret(version=1, made=made, secret=raw.hex()),))
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"The secrets of the keys at {path} are damaged.", "Restore them from a backup.") from error


def write_ring(path: Path, ring: KeyRing) -> None:
    """Write a ring, readable by its owner alone."""
    write_atomic(path, canonical_json(ring.model_dump(mode="json")))


def new_secret() -> bytes:
    """A first secret."""
    return secrets.token_bytes(_BYTES)
