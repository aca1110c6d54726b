"""How each thing that a model left in MLflow is destroyed, or a version blocked (`mlflow_left` finds them).

With the database, rows are deleted. Through MLflow's interface alone they are marked as deleted.
"""

from typing import TYPE_CHECKING

from tmu.provenance import now
from tmu.stores import mlflow_gone, mlflow_link
from tmu.stores.mlflow import ModelRegistry
from tmu.stores.mlflow_files import Files
from tmu.stores.mlflow_rows import Rows

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowPurge:
    """registry: the workspace's. rows: of MLflow's database; None where only its interface is reached."""

    def __init__(self, registry: ModelRegistry, files: Files, rows: Rows | None) -> None:
        self._registry, self._files, self._rows = registry, files, rows

    def destroy(self, address: str, request: str) -> None:
        """Destroy one thing that `find` named; what is gone already is no error. request: the deletion's id."""
        if address.startswith("runs:/"):
            self._delete_run(address.removeprefix("runs:/"))
        elif not address.startswith("models:/"):
            self._files.destroy(address)
        elif "@" in address:
            name, _, alias = address.removeprefix("models:/").rpartition("@")
            with self._registry.connected() as client, mlflow_link.absent_is_fine():
                client.delete_registered_model_alias(name, alias)
        elif "/" in address.removeprefix("models:/"):
            name, _, number = address.removeprefix("models:/").rpartition("/")
            self._bury(name, int(number), request)
        else:
            self._delete_model(address.removeprefix("models:/"))

    def block(self, address: str) -> None:
        """Mark a version as not to be served."""
        name, _, number = address.removeprefix("models:/").rpartition("/")
        with self._registry.connected() as client:
            client.set_model_version_tag(name, number, "serving", "blocked")

    def _bury(self, name: str, number: int, request: str) -> None:
        with self._registry.connected() as client, mlflow_link.absent_is_fine():
            for alias, at in client.get_registered_model(name).aliases.items():
                if int(at) == number:
                    client.delete_registered_model_alias(name, alias)
        ours = {"serving": mlflow_gone.PURGED, mlflow_gone.AT: now()[:10], mlflow_gone.BY: request}
        if self._rows is not None:
            self._rows.bury(name, number, ours)
            self._rows.compact()
            return
        with self._registry.connected() as client:
            _bury_by_interface(client, name, str(number), ours)

    def _delete_model(self, model_id: str) -> None:
        if self._rows is not None:
            self._rows.delete_model(model_id)
            self._rows.compact()
            return
        with self._registry.connected() as client, mlflow_link.absent_is_fine():
            client.delete_logged_model(model_id)

    def _delete_run(self, run_id: str) -> None:
        if self._rows is not None:
            self._rows.delete_run(run_id)
            self._rows.compact()
            return
        with self._registry.connected() as client, mlflow_link.absent_is_fine():
            client.delete_run(run_id)


def _bury_by_interface(client: "MlflowClient", name: str, number: str, ours: dict[str, str]) -> None:
    """The same as `Rows.bury`, as far as MLflow's interface allows: its source stays, and leads nowhere."""
    tags = client.get_model_version(name, number).tags
    client.set_model_version_tag(name, number, "serving", "blocked")
    client.update_model_version(name, number, mlflow_gone.sentence(name, number, ours))
    for tag in sorted({*tags} - mlflow_gone.KEPT):
        client.delete_model_version_tag(name, number, tag)
    for tag in (mlflow_gone.AT, mlflow_gone.BY, "serving"):  # the last says that all is done
        client.set_model_version_tag(name, number, tag, ours[tag])
