"""A head of the audit log with its provenance."""

from datetime import datetime

from tmu.config import Config
from tmu.ledger.log import Head


class Noted(Config):
    """A head that a place holds. at: when it was noted, as the place says; None where it does not."""

    seq: int
    hash: str
    place: str
    at: datetime | None = None

    @property
    def head(self) -> Head:
        """What the log is compared with."""
        return Head(self.seq, self.hash)

    def __str__(self) -> str:
        when = f", {self.at:%Y-%m-%d %H:%M} UTC" if self.at else ""
        return f"{self.place}: entry {self.seq}{when}"
