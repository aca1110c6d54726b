"""`tmu doctor`: is everything in order here, and if not, what to do."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from tmu.cli import output
from tmu.cli.installation import Check, installation
from tmu.cli.place import home, workspace
from tmu.errors import TmuError

if TYPE_CHECKING:
    from tmu.workspace import Workspace

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_FREE_GIB = {"fail": 0.5, "warn": 5.0}
_STALE_SECONDS = 24 * 3600


def doctor(as_json: output.Json = False) -> None:
    """Check installation, workspace, data, registry and unfinished work; exit code 1 if anything fails.

    Example: [bold]tmu doctor --json[/]
    """
    checks = [*installation(), _disk(), *_workspace()]
    rows = output.table("check", "", "finding", "mend")
    for each in checks:
        rows.add_row(each.name, f"[{_STYLES[each.state]}]{each.state}[/]", each.text, each.mend)
    output.emit([asdict(each) for each in checks], lambda: [rows])
    if any(each.state == "fail" for each in checks):
        raise typer.Exit(1)


def _disk() -> Check:
    import shutil

    free = shutil.disk_usage(home() or ".").free / 2**30
    state = next((state for state, least in _FREE_GIB.items() if free < least), "ok")
    return Check("disk", state, f"{free:.1f} GiB free", "" if state == "ok" else "Free some space.")


def _workspace() -> list[Check]:
    try:
        place = workspace()
        _ = place.params
    except TmuError as error:
        return [Check("workspace", "fail", error.what, error.mend)]
    checks = [Check("workspace", "ok", str(place.root)), _writable(place), _secret(place)]
    checks += [_data(place), _registry(place), *_requests(place), _snapshots(place)]
    return checks


def _writable(place: "Workspace") -> Check:
    from tmu.files import write_atomic

    probe = place.state("doctor")
    try:
        write_atomic(probe, b"")
        probe.unlink()
    except TmuError as error:
        return Check("writable", "fail", error.what, error.mend)
    return Check("writable", "ok", ".tmu can be written")


def _secret(place: "Workspace") -> Check:
    """Whether the secret is the one of the store."""
    from tmu.cli.selection import keys_of
    from tmu.data.info import STORE_FILE, read_info

    if not (place.data / STORE_FILE).exists():
        return Check("secret", "ok", "not needed yet")
    try:
        info = read_info(place.data)
        keys = keys_of(place, info)
    except TmuError as error:
        return Check("secret", "fail", error.what, error.mend)
    return Check("secret", "ok", f"key id {keys.id}" + (" (public: simulated people)" if info.simulated else ""))


def _data(place: "Workspace") -> Check:
    from tmu.data.digest import dvc_digest

    if not place.data.exists():
        return Check("data", "warn", "nothing imported yet", "`tmu data import READER`")
    try:
        same = dvc_digest(place.data) == place.versions.revision(place.data)
    except TmuError as error:
        return Check("data", "fail", error.what, error.mend)
    if same:
        return Check("data", "ok", "data/ is the revision of data.dvc")
    mend = "Finish an interrupted deletion (`tmu delete --resume ID`), else `dvc checkout data.dvc`."
    return Check("data", "fail", "data/ is not the revision of data.dvc", mend)


def _registry(place: "Workspace") -> Check:
    from tmu.cli.registered import versions

    if place.registry.embedded and not place.state("mlflow.db").exists():
        return Check("MLflow", "ok", "embedded; made on first use")
    try:
        count = len(versions(place))
    except TmuError as error:
        return Check("MLflow", "fail", error.what, error.mend)
    return Check("MLflow", "ok", f"reachable, {count} versions")


def _requests(place: "Workspace") -> list[Check]:
    from tmu.steps.journal import unfinished

    found = unfinished(place)
    if not found:
        return [Check("requests", "ok", "none unfinished")]
    return [
        Check(
            "requests",
            "warn",
            f"{entry['id']} stopped after `{entry['stage']}`",
            f"`tmu delete --resume {entry['id']}`",
        )
        for entry in found
    ]


def _snapshots(place: "Workspace") -> Check:
    folder = place.state("snapshots")
    old = [path for path in folder.glob("*.safetensors") if time.time() - path.stat().st_mtime > _STALE_SECONDS]
    if not old:
        return Check("snapshots", "ok", "none older than a day")
    text = f"{len(old)} snapshots of trainings that were never resumed"
    return Check("snapshots", "warn", text, "Delete them from .tmu/snapshots once nothing is to be resumed.")
