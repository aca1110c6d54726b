"""What `tmu doctor` says of Python and the packages."""

import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path
from typing import Any

from tmu.check import Check
from tmu.errors import StorageError
from tmu.files import digest_of, read_json, write_json
from tmu.words import counted

_LEAST, _BEYOND = (3, 11), (3, 14)
_IMPORTED = ("torch", "torchvision", "prefect", "mlflow", "dvc")
_CODE = (".py", ".so")
_SITES = ("site-packages", "dist-packages")
_HINT = "Install as the lock file says: `make setup`, or `pip install --require-hashes --no-deps -r requirements.lock`"


def installation(note: Path | None) -> list[Check]:
    """Python, the pinned versions, whether the heavy packages can be imported, and plugins that cannot be used.

    note: where it is written down that all could be imported, and how the packages lay then. As long as they lie so,
    they are not imported again, which takes five seconds; None: they are.
    """
    return [_python(), *map(_pinned, pins().items()), *_imports(note), *_plugins()]


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


def _imports(note: Path | None) -> list[Check]:
    code = {name: _files(name) for name in _IMPORTED}
    lost = {name: gone for name, files in code.items() if (gone := [file for file, at in files.items() if at is None])}
    if lost:
        return [_cut(name, lost[name]) if name in lost else _importable(name) for name in _IMPORTED]
    stamp = _stamp(code)
    if note is not None and _noted(note) == stamp:
        return [Check(f"import {name}", "ok", "worked; nothing was installed since") for name in _IMPORTED]
    checks = [*map(_importable, _IMPORTED)]
    if note is not None and all(check.state == "ok" for check in checks):
        with suppress(StorageError):  # another check tells
            write_json(note, {"imported": stamp})
    return checks


def _cut(name: str, gone: list[str]) -> Check:
    """Importing would not tell of what is imported only when it is needed."""
    return Check(f"import {name}", "fail", f"{counted(len(gone), 'file')} of it gone, such as {gone[0]}", _HINT)


def _files(name: str) -> dict[str, tuple[int, int] | None]:
    """Size and time of each file of a package's code, by the list that came with it; None for one that is not there."""
    try:
        of = distribution(name)
    except PackageNotFoundError:
        return {}
    root = str(of.locate_file(""))
    names = (line.partition(",")[0] for line in (of.read_text("RECORD") or "").splitlines())  # none has a comma in it
    return {file: _facts(f"{root}/{file}") for file in names if file.endswith(_CODE)}


def _facts(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 - of thousands
        return found.st_size, found.st_mtime_ns
    return None


def _stamp(code: Mapping[str, Any]) -> str:
    """What changes with Python, with where it finds them, with any package that is installed or removed, and with any
    file of their code (`_files` by name).
    """
    folders = [Path(sysconfig.get_paths()[name]) for name in ("purelib", "platlib")]
    folders += [Path(each) for each in sys.path if Path(each).name in _SITES]  # the system's and the user's, too
    files = [Path(spec.origin) for spec in map(importlib.util.find_spec, _IMPORTED) if spec and spec.origin]
    looked = dict.fromkeys((*folders, *files, *(path.parent for path in files)))  # of a package, also its own folder
    facts = [(str(path), path.stat().st_mtime_ns, path.stat().st_ino) for path in looked if path.exists()]
    return digest_of([sys.executable, sys.version, _IMPORTED, facts, code])


def _noted(note: Path) -> str | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        return str(read_json(note)["imported"])
    return None


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
