"""Errors a user can cause: each says in one line what is wrong and how to fix it.

The command line prints the line and exits with the class's `exit_code`; 1 is kept for faults of ours.
"""

from collections.abc import Sequence


class TmuError(Exception):
    """Base of all errors that a user can cause. `what` names the thing, `hint` the next step.

    `details`: lines for the user's terminal alone. They may name files of people, so that they are not in `str(error)`
    and go into no log.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str, details: Sequence[str] = ()) -> None:
        self.what, self.hint, self.details = what, hint, tuple(details)
        super().__init__(f"{what} {hint}")


class ConfigError(TmuError):
    """A setting, parameter or option is wrong (unknown key, unknown method, out of range)."""

    exit_code = 2


class RequestError(TmuError):
    """A deletion request cannot be honoured as it stands."""

    exit_code = 3


class DataError(TmuError):
    """Records, shards or a dataset are unusable (corrupt, truncated, one class)."""

    exit_code = 4


class ModelError(TmuError):
    """A model bundle or architecture is unusable (changed byte, unknown name, foreign file)."""

    exit_code = 5


class GateError(TmuError):
    """A check that guards the method refused to go on (twin not memorised, distribution shift)."""

    exit_code = 6


class StorageError(TmuError):
    """The disk or a store refused (full, read-only, unreachable)."""

    exit_code = 7
