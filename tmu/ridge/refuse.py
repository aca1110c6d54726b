"""What a model with a ridge head has no use for."""

from tmu.config import EXACT_HEAD, Params
from tmu.errors import ConfigError


def refuse_ridge_head(params: Params, what: str) -> None:
    """Raise ConfigError for what a model with a ridge head has no use for. what: such as "references"."""
    if params.ridge_head:
        raise ConfigError(
            f"A model with a ridge head has no use for {what}: `{EXACT_HEAD}` is exact, and proved by recomputation.",
            f"Leave them out and use `{EXACT_HEAD}`; or set `train.head: sgd`.",
        )
