"""What `tmu doctor` says of Python and the packages."""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from tmu.check import Check

_LEAST, _BEYOND = (3, 11), (3, 14)
_IMPORTED = ("torch", "torchvision", "prefect", "mlflow", "dvc")
_HINT = "Install as the lock file says: `make setup`, or `pip install --require-hashes --no-deps -r requirements.lock`"


def installation() -> list[Check]:
    """Python, the pinned versions, whether the heavy packages can be imported, and plugins that cannot be used."""
    return [_python(), *map(_pinned, pins().items()), *map(_importable, _IMPORTED), *_plugins()]


def pins() -> dict[str, str]:
    """Package and version of every exact pin of this package."""
    exact = [
        line.partition(";")[0].partition("==") for line in requires("tmu") or [] if "==" in line and ";" not in line
    ]
    return {name.strip(): wanted.strip() for name, _, wanted in exact}


def _python() -> Check:
    text = sys.version.split()[0]
    if _LEAST <= sys.version_info[:2] < _BEYOND:
        return Check("Python", "ok", text)
    return Check("Python", "fail", text, "Use Python 3.11, 3.12 or 3.13.")


def _pinned(pin: tuple[str, str]) -> Check:
    name, wanted = pin
    try:
        found = version(name)
    except PackageNotFoundError:
        return Check(name, "fail", "not installed", _HINT)
    if found.partition("+")[0] == wanted:
        return Check(name, "ok", found)
    return Check(name, "fail", f"{found}, pinned is {wanted}", _HINT)


def _importable(name: str) -> Check:
    """Importing is the test: a torchvision that does not fit its torch is installed, and fails here."""
    from tmu.stores.mlflow_link import quiet

    try:
        if name == "mlflow":
            quiet()
        importlib.import_module(name)
    except Exception as error:
        return Check(f"import {name}", "fail", type(error).__name__, _HINT)
    return Check(f"import {name}", "ok", "works")


def _plugins() -> list[Check]:
    """One line for each plugin that cannot be used; what does not need it works."""
    from tmu.cli.catalogue import broken

    fix = "Fix or uninstall it; everything else works."
    return [Check(f"plugin {each.name}", "warn", each.error or "", fix) for each in broken()]
