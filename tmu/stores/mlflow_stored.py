"""The files of a registered version as MLflow holds them: their digests, and a checked private copy of them.

Who can write MLflow's artifact store can write anything there. So nothing of it is believed before every file has the
digest that was noted at registration, and even then no code of it is run: the bundle alone is read.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tmu.errors import DataError, ModelError, RequestError
from tmu.files import digest_of, scratch_folder
from tmu.models.bundle_files import weights_digest
from tmu.stores import mlflow_link
from tmu.stores.mlflow_gone import sentence
from tmu.stores.mlflow_package import BUNDLE, FLAVOR
from tmu.stores.mlflow_versions import DIGEST, FILES, Version, as_version, listing, repository

if TYPE_CHECKING:
    from mlflow import MlflowClient

META = "registered_model_meta"  # left by MLflow in a store when it loads from there, and in a copy
_FIX = (
    "Find out who changed it. `tmu doctor --fix` stores the model in service again, from the sound copy; delete the "
    "changed version in MLflow then."
)
_AGAIN = "Register it again: `tmu doctor --fix`, or `tmu train original --register`."
_MOST = 200  # characters of a foreign value that an error shows


def find(client: "MlflowClient", uri: str) -> Version:
    """The version that `models:/NAME/VERSION` or `models:/NAME@ALIAS` names. Raises `RequestError`."""
    from mlflow.exceptions import MlflowException

    name, by_alias, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = (name, "", "") if by_alias else name.partition("/")
    if not uri.startswith("models:/") or not name or not (alias or number.isdigit()):
        raise RequestError(f"`{uri[:_MOST]}` names no version.", "Write models:/NAME/VERSION or models:/NAME@ALIAS.")
    with mlflow_link.refusals():
        try:
            found = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code not in mlflow_link.ABSENT:
                raise
            raise RequestError(
                f"MLflow has no version {uri[:_MOST]}.",
                "`tmu show versions` lists them; MLFLOW_TRACKING_URI, or `home=`, must name your MLflow.",
            ) from error
    if "weights_sha256" not in found.tags or "role" not in found.tags:
        raise ModelError(f"{uri[:_MOST]} was not registered by tmu.", "Load it with what registered it.")
    return as_version(found)


def refuse_purged(versions: Iterable[Version]) -> None:
    """Raise `DataError` for the first version that was purged."""
    for version in versions:
        if version.purged:
            raise DataError(sentence(version.name, version.version, version.tags), "Load `@champion`.")


def refuse_tagged(version: Version) -> None:
    """Raise `DataError` for a version that is tagged as not to be served any more, or as purged."""
    refuse_purged([version])
    if version.tags.get("serving") == "blocked":
        raise DataError(
            f"{version.name}, version {version.version}, is blocked: it learned records that were erased.",
            "Load `@champion`. Where `@champion` names it, MLflow was changed past the flows: find out by whom.",
        )


@contextmanager
def stored(
    client: "MlflowClient", version: Version, *, digest: str | None = None, scratch: Path | None = None
) -> Iterator[Path]:
    """Yield the bundle of a private copy of a version's stored files, all of which were checked; the copy then goes.

    digest: of the list of files, from a record outside MLflow. scratch: where the copy is made; default: the temporary
    folder. Raises `ModelError`, naming the file, before anything of the copy is used.
    """
    expected = _expected(version, digest)
    with scratch_folder(scratch or Path(tempfile.gettempdir())) as copy:  # mode 700
        with mlflow_link.refusals():
            uri = client.get_model_version_download_uri(version.name, str(version.version))
            repository(uri, client.tracking_uri).download_artifacts("", str(copy))
        _check(copy, expected, version)
        yield copy / BUNDLE


def is_sound(client: "MlflowClient", version: Version, scratch: Path) -> bool:
    """Whether a version's stored files are what its tags name, and hold no code."""
    try:
        with stored(client, version, scratch=scratch):
            return True
    except ModelError:
        return False


def _expected(version: Version, digest: str | None) -> dict[str, str]:
    """The files that a version must have. Raises DataError where they were purged."""
    refuse_purged([version])
    title, tags = _title(version), version.tags
    if DIGEST not in tags or FILES not in tags:
        raise ModelError(f"{title} has no digests: an older tmu registered it, with code in the store.", _AGAIN)
    try:
        files = json.loads(tags[FILES])
    except ValueError as error:
        raise ModelError(f"The list of files of {title} is unreadable.", _FIX) from error
    if digest_of(files) != tags[DIGEST] or (digest is not None and digest != tags[DIGEST]):
        raise ModelError(f"The list of files of {title} is not the one that was registered.", _FIX)
    return files


def _check(copy: Path, expected: Mapping[str, str], version: Version) -> None:
    title, present = _title(version), listing(copy)
    present.pop(META, None)
    for name in sorted({*present, *expected}):
        if name not in expected:
            raise ModelError(f"{name} was added to the stored files of {title}.", _FIX)
        if name not in present:
            raise ModelError(f"{name} is missing from the stored files of {title}.", _FIX)
        if present[name] != expected[name]:
            raise ModelError(f"{name} in the stored files of {title} was changed after it was registered.", _FIX)
    _refuse_code(copy, title)
    if weights_digest(copy / BUNDLE) != version.weights_sha256:
        raise ModelError(f"The stored weights of {title} are not those that its tag names.", _FIX)


def _refuse_code(copy: Path, title: str) -> None:
    """Accept an `MLmodel` only if it names our loader and data, and nothing that MLflow would import or run."""
    described = yaml.safe_load((copy / "MLmodel").read_text())
    flavors: dict[str, Any] = described.get("flavors", {})
    flavor = flavors.get("python_function", {})
    foreign = sorted({*flavors} - {"python_function"}) + sorted(
        name for name in {*flavor} | {*FLAVOR} if name not in _HARMLESS and flavor.get(name) != FLAVOR.get(name)
    )
    if foreign:
        raise ModelError(f"`{foreign[0]}` in MLmodel of {title} is not what tmu stores: it can load code.", _AGAIN)


_HARMLESS = {"env", "python_version"}


def _title(version: Version) -> str:
    return f"{version.name}, version {version.version},"
