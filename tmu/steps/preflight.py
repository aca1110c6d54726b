"""What can be known to fail is refused before anything is erased."""

from tmu.config import AUTO, Params
from tmu.data.store import RecordStore
from tmu.errors import ConfigError
from tmu.steps.choose_method import RETRAIN
from tmu.steps.train_model import arch_of
from tmu.twin.features import feature_names
from tmu.unlearn import read_options


def check_parameters(store: RecordStore, params: Params, method: str | None) -> None:
    """Method, its options, features and architecture. Raises ConfigError or ModelError naming what is unknown."""
    named = _approximate(params) if (method or params.unlearn.method) == AUTO else method or params.unlearn.method
    read_options(named, params.with_method(named).unlearn.options)
    for name in params.twin.features:
        if name not in feature_names():
            raise ConfigError(f"There is no feature `{name}`.", f"Choose from {', '.join(feature_names())}.")
    arch_of(store, params).build()


def _approximate(params: Params) -> str:
    """The method of `auto`. Raises ConfigError where it is none that could be weighed against retraining."""
    if params.auto.method in (AUTO, RETRAIN):
        raise ConfigError(
            f"`auto.method` in params.yaml is `{params.auto.method}`.",
            "Name the approximate method that is to be weighed against retraining.",
        )
    return params.auto.method
