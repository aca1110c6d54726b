"""What can be known to fail is refused before anything is erased."""

from tmu.config import Params
from tmu.data.store import RecordStore
from tmu.errors import ConfigError
from tmu.steps.train_model import arch_of
from tmu.twin.features import feature_names
from tmu.unlearn import get_method, read_options


def check_parameters(store: RecordStore, params: Params, method: str | None) -> None:
    """Method, its options, features and architecture. Raises ConfigError or ModelError naming what is unknown."""
    if method is None or method == params.unlearn.method:
        read_options(params.unlearn.method, params.unlearn.options)
    else:
        get_method(method)
    for name in params.twin.features:
        if name not in feature_names():
            raise ConfigError(f"There is no feature `{name}`.", f"Choose from {', '.join(feature_names())}.")
    arch_of(store, params).build()
