"""A registered model outside the flows: loaded by MLflow's address, checked before it is read, nothing left behind.

    model = tmu.serving.load_model("models:/tmu-clinic@champion")
    probabilities = model.predict(pixels)

No code comes from a store. `MLmodel` of every version names this module as its loader, so that
`mlflow.pyfunc.load_model` works as well where `tmu` is installed. A blocked or purged model is refused that way, too;
but no digest is checked, and whatever `MLmodel` says is followed: prefer `load_model`.
"""

from pathlib import Path

from tmu.models.served import NamedAnswers, ServedModel, load


def load_model(uri: str, *, home: Path | str | None = None, digest: str | None = None) -> ServedModel:
    """Load a registered version after checking every stored file of it, `MLmodel` included.

    uri: `models:/NAME/VERSION` or `models:/NAME@ALIAS`. home: the workspace; its MLflow is asked, the files must be
    those that its ledger or journal has on record, and `@champion` must be the version that was put into service last.
    Without it, MLflow is found as MLflow itself finds it (`MLFLOW_TRACKING_URI`), and the files must be those that the
    version's tags name. digest: what `tmu show @champion` prints as `files`; the files must have it. A blocked version
    is never loaded. Raises `ModelError` (changed, missing or foreign file; code in the store; registered by an older
    tmu), `DataError` (blocked; another than on record), `RequestError` (no such version), `StorageError`.
    """
    if home is not None:
        from tmu.steps.check_version import load_version
        from tmu.steps.cut_over import refuse_moved
        from tmu.workspace import Workspace

        workspace = Workspace.open(home)
        version = workspace.registry.find(uri)
        if uri.endswith("@champion"):
            refuse_moved(workspace, version)
        return load_version(workspace, version, digest)
    from tmu.stores import mlflow_link
    from tmu.stores.mlflow_stored import find, refuse_tagged, stored

    client = mlflow_link.ambient()
    version = find(client, uri)
    refuse_tagged(version)
    with stored(client, version, digest=digest) as bundle:
        return load(bundle)


def _load_pyfunc(data_path: str) -> NamedAnswers:
    """What `mlflow.pyfunc.load_model` calls: `data_path` is the bundle in MLflow's copy of the model.

    A blocked or purged model is refused by name (`DataError`), and a copy in the temporary folder is removed.
    """
    from tmu.stores.mlflow_copies import discard_copy, refuse_copy

    bundle = Path(data_path)
    try:
        refuse_copy(bundle)
        return NamedAnswers(load(bundle))
    finally:
        discard_copy(bundle)
