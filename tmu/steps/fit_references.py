"""Fit the references of a data revision: networks on random halves of it, of which a table of outputs is kept."""

from pathlib import Path
from typing import Any

from tmu.config import Params
from tmu.errors import RequestError
from tmu.files import digest_of, discard
from tmu.manifest import digest
from tmu.models.fitting import refuse_misfit
from tmu.models.registry import module_of
from tmu.provenance import now
from tmu.refs import DataRef, ReferencesRef
from tmu.ridge.refuse import refuse_ridge_head
from tmu.steps.loading import data_ref, open_store
from tmu.steps.making import identity_of, lane_apart, make
from tmu.steps.references_table import Table, recipe_of
from tmu.steps.suppress import refuse_suppressed
from tmu.steps.train_model import arch_of
from tmu.steps.train_references import train_references
from tmu.stores.lock import locked
from tmu.train.engine import Progress
from tmu.workspace import Workspace


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name))


def fit_references(
    workspace: Workspace, data: DataRef, params: Params, *, progress: Progress | None = None, out: str | None = None
) -> ReferencesRef:
    """The table of `params.references` for a data revision: 2 x pairs networks by the original's recipe.

    The networks are trained side by side on all cores or devices. What is finished is kept below `.tmu/references`
    until the table is sealed, so that after kill -9 only unfinished networks are trained again, and those go on from
    their snapshots; the table is the same bit by bit. Weights lie there only as snapshots, and go with their training.
    Raises DataError where a half of D has fewer than two records, RequestError where a deletion changed the data
    meanwhile: nothing is kept then; ConfigError for a model with a ridge head.
    """
    refuse_ridge_head(params, "references")
    lane = lane_apart(workspace, params.train)
    identity = identity_of("references", code_of(params), data=data.digest, **recipe_of(params), lane=lane)
    key = digest_of(identity)
    state = workspace.state("references", f"{data.digest[:32]}-{key[:32]}")

    def build(folder: Path, run: dict[str, Any]) -> None:
        current = _is_current(workspace, data)
        store = open_store(workspace, data)
        if current:  # an older revision is read for a deletion that is under way
            refuse_suppressed(workspace, store)
        refuse_misfit(arch_of(store, params))
        table = Table(store, params)
        reports = train_references(workspace, table, state, progress)
        table.write(folder, state, key)
        run.update(
            fitted_at=now(),
            seconds_networks=[report["seconds_train"] for report in reports],
            resumed_at=max(report["resumed_at"] for report in reports),
            precision=reports[0]["precision"],
        )
        if current and not _is_current(workspace, data):
            discard(state)
            raise RequestError("The data changed while the references were fitted.", "Fit them again.")

    with locked(workspace.state("references", ".lock")):  # two fits at once would do the same work twice
        _discard_others(workspace, data)
        uri, folder = make(workspace, "references", identity, build, out)
        if state.exists():
            discard(state)
    return ReferencesRef(uri=uri, digest=digest(folder))


def _discard_others(workspace: Workspace, data: DataRef) -> None:
    """Remove what fits of other data revisions left: such rows may be of people who are erased by now."""
    for path in workspace.state("references").glob("[!.]*"):
        if path.is_dir() and not path.name.startswith(data.digest[:32]):
            discard(path)


def _is_current(workspace: Workspace, data: DataRef) -> bool:
    """Whether it is the revision that lies in the workspace now: an older one may be asked for, too."""
    return data.uri == "data" and data_ref(workspace).digest == data.digest
