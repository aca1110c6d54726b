"""The method, or how it is chosen."""

from typing import Any

from pydantic import Field

from tmu.config.base import Config

EXACT_HEAD = "exact-head"  # the method of models with a ridge head
AUTO = "auto"  # in place of a method: chosen for each request (`tmu/steps/choose_method.py`)


class UnlearnConfig(Config):
    """A method by registry name, or `auto`; `options` are checked by the method's own config class."""

    method: str = "tmu-soft"
    options: dict[str, Any] = Field(default_factory=dict)


class AutoConfig(Config):
    """What `auto` weighs against exact retraining."""

    method: str = Field("tmu-soft", description="the approximate method; `unlearn.options` go with it")
    requests_per_references: int = Field(
        20, ge=1, description="requests among which the cost of the references (and the twin on them) is shared"
    )
