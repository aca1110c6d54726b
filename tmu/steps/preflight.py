"""What can be known to fail is refused before anything is erased, each cause with its own fix."""

import os
from pathlib import Path

from tmu.config import AUTO, Params
from tmu.data.info import read_info
from tmu.data.store import RecordStore
from tmu.deletion.plan import RETRAIN
from tmu.errors import ConfigError, StorageError
from tmu.files import refuse_unwritable
from tmu.ledger.actor import SYSTEM
from tmu.ledger.place import has_ledger, open_ledger
from tmu.models.fitting import refuse_misfit
from tmu.steps.train_model import arch_of
from tmu.twin.features import feature_names
from tmu.unlearn import read_options, refuse_other_head
from tmu.workspace import Workspace


def check_parameters(store: RecordStore, params: Params, method: str | None) -> None:
    """Method, its options, features and architecture. Raises ConfigError or ModelError naming what is unknown."""
    named = _approximate(params) if (method or params.unlearn.method) == AUTO else method or params.unlearn.method
    read_options(named, params.with_method(named).unlearn.options)
    refuse_other_head(named, params)
    for name in params.twin.features:
        if name not in feature_names():
            raise ConfigError(f"There is no feature `{name}`.", f"Choose from {', '.join(feature_names())}.")
    refuse_misfit(arch_of(store, params))


def check_stores(workspace: Workspace) -> None:
    """All that erasing, registering and promoting will write to. Raises StorageError or ConfigError.

    Looked at: the folders of data, revisions and DVC's cache, the artifact store, MLflow (database, experiment,
    artifacts, the version in service), and the ledger where there is one.
    """
    _refuse_read_only(workspace.data, workspace.data / "shards")
    for folder in (workspace.root, workspace.state("revisions"), workspace.root / ".dvc" / "cache"):
        refuse_unwritable(folder)
    workspace.artifacts.refuse_unwritable()
    workspace.registry.refuse_unready(read_info(workspace.data).dataset)
    if has_ledger(workspace):
        ledger = open_ledger(workspace)
        try:
            with ledger.write(SYSTEM):
                pass
        finally:
            ledger.close()


def _refuse_read_only(*folders: Path) -> None:
    """Without a probe: a file that a kill left in the data would make another revision of them."""
    for folder in folders:
        if not os.access(folder, os.W_OK):
            raise StorageError(f"The folder cannot be written: {folder}.", "Change its permissions.")


def _approximate(params: Params) -> str:
    """The method of `auto`. Raises ConfigError where it is none that could be weighed against retraining."""
    if params.auto.method in (AUTO, RETRAIN):
        raise ConfigError(
            f"`auto.method` in params.yaml is `{params.auto.method}`.",
            "Name the approximate method that is to be weighed against retraining.",
        )
    return params.method_of_auto
