"""`tmu data erase`: erase records from the data alone; no model is touched, and there is no limit to how much."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmu.cli import output
from tmu.cli.confirm import Yes, confirm
from tmu.cli.place import data_of, untouched, workspace
from tmu.cli.planning import shown, sizes
from tmu.cli.selection import File, Found, Records, Subjects, WithCopies, all_known, select, with_copies

if TYPE_CHECKING:
    from tmu.data.store import RecordStore
    from tmu.refs import DataRef
    from tmu.steps.plan_deletion import Plan
    from tmu.workspace import Workspace

_MODELS_KNOW = "Models that have learned these records still know them: train anew, or use `tmu delete` instead."


def erase(
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    copies: WithCopies = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
    as_json: output.Json = False,
) -> None:
    """Erase records from the data without touching any model. To make a model forget, too, use `tmu delete`.

    Examples: [bold]tmu data erase --subject contributor-007 --dry-run[/] ·
    [bold]tmu data erase --file request.json --yes[/]
    """
    from tmu.data.store import RecordStore
    from tmu.steps.journal import refuse_a_second
    from tmu.steps.loading import data_folder

    place = workspace()
    with tempfile.TemporaryDirectory() as scratch:
        looking = untouched(place, Path(scratch))
        ref = data_of(place, None) if dry_run else _revision(place)
        store = RecordStore.open(data_folder(looking if dry_run else place, ref), contents=place.contents)
        selection = with_copies(store, select(place, store.info, subjects, records, file), copies)
        plan = _plan(store, ref, all_known(store.index(), selection))
    if dry_run:
        output.emit(plan.as_json(), lambda: [*shown(plan), "Nothing was changed."])
        return
    refuse_a_second(place)
    confirm(f"Erase {sizes(plan, len(selection.subjects))} from the data?", yes, shown(plan))
    after = _erased(place, plan)
    value = {"plan": plan.as_json(), "data": after.model_dump(), "warning": _MODELS_KNOW}
    output.emit(
        value, lambda: [f"Erased {len(plan.records):,} records; the data are now {after.digest}.", _MODELS_KNOW]
    )


def _revision(place: "Workspace") -> "DataRef":
    """The committed revision: after a crash halfway, the same command then resolves as it did before."""
    from tmu.refs import DataRef

    data_of(place, None)
    return DataRef(uri="data", digest=place.versions.revision(place.data))


def _erased(place: "Workspace", plan: "Plan") -> "DataRef":
    from tmu.data.index import prune
    from tmu.steps.erase_data import erase_data
    from tmu.steps.plan_deletion import acknowledge

    after = erase_data(place, plan.data, acknowledge(place, plan))
    prune(place.state("index"), [place.data])
    return after


def _plan(store: "RecordStore", data: "DataRef", found: list[Found]) -> "Plan":
    """Like `plan_deletion`, without its limits: nothing has to be unlearned, so that any number may go."""
    import numpy as np

    from tmu.data.records import SPLITS
    from tmu.data.what_stays import what_stays
    from tmu.files import digest_of
    from tmu.steps.plan_deletion import Plan

    index = store.index()
    chosen = np.unique(np.concatenate([each.positions for each in found]))
    keys, splits = index.keys_at(chosen), index.splits[chosen]
    subjects = sorted({each.key for each in found if each.kind == "subject"})
    train = chosen[splits == SPLITS.index("train")]
    by_class = np.bincount(index.labels[train], minlength=len(store.info.classes))
    return Plan(
        id=digest_of([data.digest, keys])[:16],
        data=data,
        subjects=subjects,
        records=keys,
        by_split={name: int((splits == code).sum()) for code, name in enumerate(SPLITS)},
        by_class={name: int(n) for name, n in zip(store.info.classes, by_class, strict=True) if n},
        shards=np.unique(index.buckets[chosen]).tolist(),
        n_train=len(train),
        stays=list(what_stays(store, chosen, subjects).sentences),
    )
