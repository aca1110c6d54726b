"""`tmu doctor`: is everything in order here, and if not, what to do."""

import sys
import time
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from tmu.check import Check
from tmu.cli import output, upkeep
from tmu.cli.installation import installation
from tmu.cli.output import Yes
from tmu.cli.workspace import home, open_workspace
from tmu.errors import ConfigError, TmuError
from tmu.words import counted

if TYPE_CHECKING:
    from tmu.workspace import Workspace

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_FREE_GIB = {"fail": 0.5, "warn": 5.0}
_STALE_SECONDS = 24 * 3600
_SECONDS = 5.0  # that a server may take to answer


_GROUP = "tmu.checks"


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed safely; asks about each.")] = False,
    yes: Yes = False,
    as_json: output.Json = False,
) -> None:
    """Check installation, workspace, data, registry, servers and unfinished work; exit code 1 if anything fails.

    Examples: [bold]tmu doctor --json[/], [bold]tmu doctor --fix[/]
    """
    checks = _all()
    done = list(_fixed(checks, yes)) if fix else []
    if done:
        checks = [*done, *_all()]
    rows = output.table("check", "", "finding", "hint")
    for each in checks:
        rows.add_row(each.name, f"[{_STYLES[each.state]}]{each.state}[/]", escape(each.text), escape(each.hint))
    output.emit([each.as_json() for each in checks], lambda: [rows])
    if any(each.state == "fail" for each in checks):
        raise typer.Exit(1)


def _all() -> list[Check]:
    return [*installation(_note()), _disk(), *_workspace()]


def _note() -> Path | None:
    """Where it is written down which imports worked; None outside of a workspace."""
    try:
        return open_workspace().state("imports.json")
    except TmuError:
        return None


def _fixed(checks: list[Check], yes: bool) -> Iterator[Check]:
    """What was fixed, and what could not be. Raises ConfigError where nobody can be asked."""
    for each in checks:
        if each.state == "ok" or each.repair is None or not _agreed(each, yes):
            continue
        try:
            yield Check(f"fixed: {each.name}", "ok", each.repair())
        except TmuError as error:
            yield Check(f"fixed: {each.name}", "fail", error.what, error.hint)


def _agreed(check: Check, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigError("There is no terminal to ask for confirmation.", "Add --yes.")
    return typer.confirm(f"{check.name}: {check.text}. Fix it?", err=True)


def _disk() -> Check:
    import shutil

    free = shutil.disk_usage(home() or ".").free / 2**30
    state = next((state for state, least in _FREE_GIB.items() if free < least), "ok")
    return Check("disk", state, f"{free:.1f} GiB free", "" if state == "ok" else "Free some space.")


def _workspace() -> list[Check]:
    try:
        workspace = open_workspace()
        _ = workspace.params
    except TmuError as error:
        return [Check("workspace", "fail", error.what, error.hint)]
    checks = [Check("workspace", "ok", str(workspace.root)), _writable(workspace), _secret(workspace)]
    checks += [upkeep.permissions(workspace), upkeep.movable(workspace), upkeep.owner(workspace)]
    checks += [
        _data(workspace),
        _recipe(workspace),
        upkeep.decoder(workspace),
        upkeep.compute(workspace),
        upkeep.references(workspace),
        _registry(workspace),
        upkeep.service(workspace),
        upkeep.issuer(workspace),
        *_requests(workspace),
        _snapshots(workspace),
        *_servers(workspace),
    ]
    return checks


def _recipe(workspace: "Workspace") -> Check:
    from tmu.steps.recipe_warnings import recipe_warnings

    found = recipe_warnings(workspace.params, _held(workspace))
    if not found:
        return Check("recipe", "ok", "its options go together")
    what, _, hint = found[0].partition(". ")
    return Check("recipe", "warn", f"{what}.", " ".join([hint, *found[1:]]))


def _held(workspace: "Workspace") -> int | None:
    """How many hold-out records there are; None where the data cannot be read, which another check tells."""
    from tmu.steps.loading import data_ref, open_store

    try:
        return len(open_store(workspace, data_ref(workspace)).positions("holdout"))
    except TmuError:
        return None


def _servers(workspace: "Workspace") -> Iterator[Check]:
    """What packages above this one add: they are found by their entry points, because nothing here imports them."""
    yield from _object_stores(workspace)
    for found in entry_points(group=_GROUP):
        yield from found.load()(workspace)


def _object_stores(workspace: "Workspace") -> Iterator[Check]:
    """S3 stores, and the places where heads of the audit log are noted."""
    from tmu.steps.check_object_stores import check_object_stores
    from tmu.steps.ledger.log_heads import check_heads

    yield from check_object_stores(workspace)
    try:
        yield from check_heads(workspace)
    except TmuError as error:
        yield Check("heads outside", "fail", error.what, error.hint)


def _writable(workspace: "Workspace") -> Check:
    from tmu.files import write_atomic

    probe = workspace.state("doctor")
    try:
        write_atomic(probe, b"")
        probe.unlink()
    except TmuError as error:
        return Check("writable", "fail", error.what, error.hint)
    return Check("writable", "ok", ".tmu can be written")


def _secret(workspace: "Workspace") -> Check:
    """Whether the secret is the one of the store."""
    from tmu.cli.selection import keys_of
    from tmu.data.info import STORE_FILE, read_info

    if not (workspace.data / STORE_FILE).exists():
        return Check("secret", "ok", "not needed yet")
    try:
        info = read_info(workspace.data)
        keys = keys_of(workspace, info)
    except TmuError as error:
        return Check("secret", "fail", error.what, error.hint)
    return Check("secret", "ok", f"key id {keys.id}" + (" (public: simulated people)" if info.simulated else ""))


def _data(workspace: "Workspace") -> Check:
    from tmu.data.digest import dvc_digest

    if not workspace.data.exists():
        return Check("data", "warn", "nothing imported yet", "`tmu data import READER`")
    try:
        same = dvc_digest(workspace.data) == workspace.versions.revision(workspace.data)
    except TmuError as error:
        return Check("data", "fail", error.what, error.hint)
    if same:
        return Check("data", "ok", "data/ is the revision of data.dvc")
    hint = "Finish an interrupted deletion (`tmu delete --resume ID`), else `dvc checkout data.dvc`."
    return Check("data", "fail", "data/ is not the revision of data.dvc", hint)


def _registry(workspace: "Workspace") -> Check:
    from tmu.cli.registered import versions

    if workspace.registry.embedded and not workspace.state("mlflow.db").exists():
        return Check("MLflow", "ok", "embedded; made on first use")
    try:
        if not workspace.registry.embedded and not _answers(workspace.settings.mlflow_uri):
            return Check("MLflow", "fail", "does not answer", "Start it, or fix setting `mlflow_uri`.")
        count = len(versions(workspace))
    except TmuError as error:
        return Check("MLflow", "fail", error.what, error.hint)
    return Check("MLflow", "ok", f"reachable, {counted(count, 'version')}")


def _answers(uri: str | None) -> bool:
    """Whether a server answers at once: MLflow's own client would wait for minutes."""
    import httpx

    if not uri or not uri.startswith("http"):
        return True
    try:
        return httpx.get(f"{uri}/health", timeout=_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _requests(workspace: "Workspace") -> list[Check]:
    from tmu.deletion.journal import Journal, way_on

    try:
        found = Journal(workspace).unfinished()
    except TmuError as error:
        return [Check("requests", "fail", error.what, error.hint)]
    if not found:
        return [Check("requests", "ok", "none unfinished")]
    return [Check("requests", "warn", f"{each.id} stopped after `{each.stage}`", way_on(each)) for each in found]


def _snapshots(workspace: "Workspace") -> Check:
    folder = workspace.state("snapshots")
    old = [path for path in folder.glob("*.safetensors") if time.time() - path.stat().st_mtime > _STALE_SECONDS]
    if not old:
        return Check("snapshots", "ok", "none older than a day")
    text = f"{len(old)} snapshots of trainings that were never resumed"
    return Check("snapshots", "warn", text, "Delete them from .tmu/snapshots once nothing is to be resumed.")
