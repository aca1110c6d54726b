"""What `tmu doctor` says of a workspace: permissions, being movable, references, the model in service."""

from typing import TYPE_CHECKING

from tmu.check import Check
from tmu.errors import ModelError, TmuError

if TYPE_CHECKING:
    from tmu.workspace import Workspace

_SHARED = ("mlflow_uri", "mlflow_database", "dvc_remote", "ledger", "heads_s3", "suppression", "evidence")
"""Settings of stores outside of the workspace, which a copy has, too."""


def permissions(workspace: "Workspace") -> Check:
    """Whether anybody but the owner can enter the workspace, or read what tmu and DVC keep in it."""
    from tmu.permissions import OTHERS, exposed

    found = exposed(*workspace.parts)
    root = workspace.root.stat().st_mode & OTHERS
    if not found and not root:
        return Check("permissions", "ok", "only the owner can read the workspace")
    names = [path.relative_to(workspace.root).as_posix() for path in found]
    text = f"open to other accounts: {', '.join((['the workspace itself'] if root else []) + names[:3])}"
    if len(found) > 3:
        text += f", and {len(found) - 3} more"
    return Check("permissions", "fail", text, "`tmu doctor --fix` closes it.", repair=lambda: _tightened(workspace))


def _tightened(workspace: "Workspace") -> str:
    return f"{workspace.tighten()} files and folders were closed to others"


def movable(workspace: "Workspace") -> Check:
    """Whether DVC's settings leave the workspace free to be moved and copied."""
    if workspace.versions.movable():
        return Check("place", "ok", "the workspace may be moved and copied")
    text = "DVC's settings contain an absolute path, written by an older tmu"
    return Check("place", "fail", text, "`tmu doctor --fix` makes it relative.", repair=lambda: _set_up(workspace))


def _set_up(workspace: "Workspace") -> str:
    workspace.versions.init()
    return "DVC's settings are relative now"


def owner(workspace: "Workspace") -> Check:
    """Whether the artifact store is this workspace's, and whether it is a copy of one that is still there."""
    from tmu.stores.owner import home_of

    name = "owner"
    try:
        workspace.artifacts.refuse_foreign()
        home = home_of(workspace.root)
    except TmuError as error:
        return Check(name, "fail", error.what, error.hint)
    named = [setting for setting in _SHARED if getattr(workspace.settings, setting)]
    if home.copy_of is None or not named or not home.lives_at(home.copy_of):
        return Check(name, "ok", "the artifact store is this workspace's, or nobody's yet")
    text = f"this workspace is a copy of the one in {home.copy_of}, which may use the same {', '.join(named)}"
    hint = "Name others in tmu.toml before you delete here; for a DVC remote, name the original in `dvc_projects`."
    return Check(name, "warn", text, hint)


def issuer(workspace: "Workspace") -> Check:
    """Whether certificates and letters say who issues them."""
    from tmu.steps.unnamed_issuer import unnamed_issuer

    lacks = unnamed_issuer(workspace.settings)
    if lacks is None:
        return Check("issuer", "ok", "certificates and letters name who issues them")
    what, _, hint = lacks.partition(". ")
    return Check("issuer", "warn", f"{what}.", hint)


def decoder(workspace: "Workspace") -> Check:
    """Whether the kept JPEGs are decoded by what decoded them at the import."""
    from tmu.data.info import STORE_FILE, read_info
    from tmu.data.jpeg import decoder as here

    name = "decoder"
    if not (workspace.data / STORE_FILE).exists():
        return Check(name, "ok", "no JPEGs are kept")
    try:
        then = read_info(workspace.data).decoder
    except TmuError as error:
        return Check(name, "fail", error.what, error.hint)
    if then in (None, here()):
        return Check(name, "ok", here() if then else "no JPEGs are kept")
    hint = "`tmu data verify` tells whether the pixels are the same; if not, install that version."
    return Check(name, "warn", f"JPEGs were imported with {then}; here is {here()}", hint)


def compute(workspace: "Workspace") -> Check:
    """Whether the compute backend can be used, and its ranks fit it; threads of a training."""
    from dataclasses import replace

    from tmu.compute.check import check_compute
    from tmu.compute.threads import AUTO, recorded
    from tmu.steps.train_ranks import ranks_of

    try:
        ranks_of(workspace)
    except TmuError as error:
        return Check("compute", "fail", error.what, error.hint)
    found, threads = check_compute(workspace.settings), str(workspace.settings.threads)
    if threads == AUTO:
        measured = recorded(workspace)
        threads = measured.sentence if measured else "measured at the first training"
    return replace(found, text=f"{found.text}; threads: {threads}") if found.state == "ok" else found


def references(workspace: "Workspace") -> Check:
    """Whether there are references of the data as they are, and how long they serve."""
    name, again = "references", "`tmu references fit`; the flow `fit-references` does it weekly."
    try:
        if any(path.is_dir() for path in workspace.state("references").glob("[!.]*")):
            text = "a fit is running or was interrupted"
            return Check(name, "warn", text, "`tmu references fit` resumes it, after one that is running.")
        if not workspace.artifacts.manifests("references"):
            return Check(name, "ok", "none yet")
        from tmu.steps.loading import data_ref
        from tmu.steps.read_references import find_references
        from tmu.steps.renewal import renewal_of

        ref = find_references(workspace, data_ref(workspace), workspace.params)
        if ref is None:
            return Check(name, "ok", "none of the data as they are")
        renewal = renewal_of(workspace, ref, workspace.params)
    except TmuError as error:
        return Check(name, "fail", error.what, error.hint)
    if renewal.state == "fine":
        return Check(name, "ok", f"{100 * renewal.erased:.1f} % of the training set erased since the fit")
    when = "must be renewed" if renewal.state == "due" else "must be renewed soon"
    return Check(name, "warn", " ".join([f"{when}.", *renewal.reasons]), again)


def service(workspace: "Workspace") -> Check:
    """Whether the model in service can be loaded from MLflow, is what was registered, and answers."""
    from tmu.cli.registered import dataset_of, versions

    name = "model in service"
    try:
        champion = workspace.registry.get_alias(dataset_of(workspace), "champion") if versions(workspace) else None
        if champion is None:
            return Check(name, "ok", "none yet")
        text = _answering(workspace, champion)
    except ModelError as error:
        return Check(name, "fail", error.what, error.hint, repair=lambda: _stored_again(workspace))
    except TmuError as error:
        return Check(name, "fail", error.what, error.hint)
    return Check(name, "ok", text)


def _answering(workspace: "Workspace", champion: object) -> str:
    import numpy as np

    from tmu.steps.check_version import load_version
    from tmu.steps.cut_over import refuse_blocked, refuse_moved

    refuse_blocked(workspace, champion)
    refuse_moved(workspace, champion)
    model = load_version(workspace, champion)
    answer = model.predict(np.zeros((1, *model.shape), np.float32))
    if not np.isfinite(answer).all():
        raise ModelError(f"Version {champion.version} answers with no numbers.", "Train the model again.")
    return f"version {champion.version} is what was registered, loads and answers"


def _stored_again(workspace: "Workspace") -> str:
    from tmu.steps.store_again import store_again

    return f"stored again, and put into service, as version {store_again(workspace).version}"
