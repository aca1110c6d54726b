"""Copies of a stored model that MLflow makes while it loads one.

Behind a server `mlflow.pyfunc.load_model` downloads into a new temporary folder and leaves it there: a whole model, for
whoever reads that disk. `tmu.serving`, which it calls as the loader, removes that folder. One that a kill left is found
by the weights in it.
"""

import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from tmu.files import sha256_file, storage_errors
from tmu.models.bundle_files import WEIGHTS, weights_digest
from tmu.stores import mlflow_link
from tmu.stores.mlflow_package import BUNDLE
from tmu.stores.mlflow_stored import META, refuse_tagged
from tmu.stores.mlflow_versions import as_version

_MADE = re.compile(r"tmp[a-z0-9_]{8}|\.scratch\.building-\d+-\w+")  # by `tempfile`, or by `tmu.files`
_DEEPEST = 3  # folders between the temporary folder and a copied model


def refuse_copy(bundle: Path) -> None:
    """Raise `DataError` for a model of which a version is blocked or purged, where the process knows an MLflow.

    MLflow asks nobody before it loads a model. Versions are told apart by weights: one is blocked under every number,
    and when it is loaded by the id of its run or model, too.
    """
    import mlflow

    if not mlflow.is_tracking_uri_set():
        return
    with mlflow_link.refusals():
        found = mlflow_link.ambient().search_model_versions(f"tags.weights_sha256 = '{weights_digest(bundle)}'")
    for each in found:
        if "role" in each.tags:
            refuse_tagged(as_version(each))


def discard_copy(bundle: Path) -> bool:
    """Remove MLflow's copy of a model from the temporary folder, if that is where `bundle` lies; whether it did.

    MLflow's own: a folder with a name of `tempfile`, with MLflow's note of what was downloaded. All else stays.
    """
    temporary, model = Path(tempfile.gettempdir()).resolve(), bundle.resolve().parents[1]
    ours = model.parent == temporary and _MADE.fullmatch(model.name) and (model / META).is_file()
    if ours:
        shutil.rmtree(model, ignore_errors=True)
    return bool(ours)


def copies(weights: Collection[str]) -> Iterator[Path]:
    """Folders in the temporary folder that hold a copy of a model with one of these weights (SHA-256)."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for folder in sorted(temporary.iterdir()):
        if _MADE.fullmatch(folder.name) and any(sha256_file(path) in weights for path in _weights(folder)):
            yield folder


def discard(name: str) -> None:
    """Remove a folder of the temporary folder that `copies` named; one that is gone is no error."""
    folder = Path(tempfile.gettempdir()).resolve() / Path(name).name
    if _MADE.fullmatch(folder.name) and folder.exists():
        with storage_errors(folder):
            shutil.rmtree(folder)


def _weights(folder: Path) -> Iterator[Path]:
    try:
        for depth in range(_DEEPEST):
            yield from folder.glob(f"{'*/' * depth}{BUNDLE}/{WEIGHTS}")
    except PermissionError:  # another account's
        return
