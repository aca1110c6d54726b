"""What becomes of what a deletion leaves behind."""

from typing import Literal

from pydantic import Field

from tmu.config.base import Config


class Retention(Config):
    """A written rule under which models that learned erased records stay for a while; plan and certificate state it."""

    role: Literal["original", "gold", "unlearned", "twin"]
    days: int = Field(ge=1, description="days after the deletion; then `tmu purge` destroys them")
    why: str = Field(min_length=10, description="the ground, as the certificate states it")


class PurgeConfig(Config):
    """What becomes of what a deletion leaves behind (`docs/erasure.md`)."""

    act: bool = Field(True, description="destroy it at the deletion's end; false: `tmu purge` does it, when told")
    keep: tuple[Retention, ...] = Field((), description="models that stay for a while, by rule")
