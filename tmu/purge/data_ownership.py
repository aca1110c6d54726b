"""Whose a list of DVC's is: that of this workspace, by what recorded it, or another project's (`docs/erasure-data.md`).

DVC keeps no owner with an object. Two projects share one where their files are equal byte by byte.
"""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import yaml

from tmu.deletion.journal import Journal
from tmu.errors import StorageError
from tmu.purge.scope import Scope
from tmu.stores.dvc import DvcVersions
from tmu.workspace import Workspace

_LIST = re.compile(r"\b[0-9a-f]{32}\.dir\b")
_FILE = "file:"


def recorded(workspace: Workspace, scope: Scope) -> frozenset[str]:
    """The lists that this workspace recorded: at each commit, in its journal, in `data.dvc` and `dvc.lock` as they are
    and, in a git repository, as they ever were on any branch, and by unpacked revisions.
    """
    found = {scope.before.digest, scope.after.digest, *_lists_of(workspace.root, "data.dvc")}
    for deletion in Journal(workspace).all():
        found |= {each.digest for each in (deletion.plan.data, deletion.data) if each}
    found |= {path.name.removesuffix(".linked") for path in workspace.state("revisions").glob("[!.]*")}
    return frozenset(name for name in found if _LIST.fullmatch(name))


def of_others(projects: Iterable[Path]) -> frozenset[str]:
    """The lists that other projects recorded. Raises StorageError where a folder is not there."""
    found: set[str] = set()
    for root in projects:
        if not root.is_dir():
            raise StorageError(f"There is no project at {root}.", "Mount it, or correct `dvc_projects` in tmu.toml.")
        found |= _lists_of(root, "*.dvc")
    return frozenset(found)


def _lists_of(root: Path, pointers: str) -> frozenset[str]:
    """The lists that pointers and `dvc.lock` at the top of a project name, and ever named, and tmu's commits there."""
    now = [path.read_text() for path in (*root.glob(pointers), root / "dvc.lock") if path.is_file()]
    found = _LIST.findall("\n".join([*now, _history(root, pointers)]))
    return frozenset(found) | DvcVersions(root).recorded()


def outputs(workspace: Workspace, addresses: Iterable[str]) -> dict[str, str]:
    """The objects (or lists) of the stage outputs at these addresses (`file:PATH`), with their paths, by `dvc.lock`."""
    paths = tuple(each.removeprefix(_FILE) for each in addresses if each.startswith(_FILE))
    lock = workspace.root / "dvc.lock"
    if not paths or not lock.is_file():
        return {}
    try:
        stages = yaml.safe_load(lock.read_text())["stages"].values()
        outs = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", ()) if "md5" in out}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise StorageError("dvc.lock cannot be read.", "Restore it from git, or run `dvc repro`.") from error
    return {md5: path for path, md5 in outs.items() if f"{path}/".startswith(tuple(f"{each}/" for each in paths))}


def _history(root: Path, pointers: str) -> str:
    """All that they ever said on any branch; empty where the project is in no git repository."""
    command = ["git", "-C", str(root), "log", "--all", "--format=", "--patch", "--", f":(glob){pointers}", "dvc.lock"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    except FileNotFoundError:
        return ""  # no git on this machine
    # a new repository has no commit yet
    if done.returncode and "not a git repository" not in done.stderr and "any commits" not in done.stderr:
        raise StorageError("git does not tell the history of data.dvc.", "Run `git log` there, and fix what it says.")
    return done.stdout
