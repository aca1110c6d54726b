"""What can be known to fail is refused before anything is erased."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tmu.config import Params
    from tmu.data.store import RecordStore


def check_parameters(store: "RecordStore", params: "Params", method: str | None) -> None:
    """Method, its options and the architecture. Raises ConfigError or ModelError naming what is unknown."""
    from tmu.steps.train_model import arch_of
    from tmu.unlearn import get_method, read_options

    if method is None or method == params.unlearn.method:
        read_options(params.unlearn.method, params.unlearn.options)
    else:
        get_method(method)
    arch_of(store, params).build()
