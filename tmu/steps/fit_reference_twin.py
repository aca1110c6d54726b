"""Fit the twin problems of the references: once for a table and all that is left of it after erasures.

What is kept are coefficients, quantiles and rates, of no single record: the next deletions use the same ones, whatever
model is in service by then.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tmu.config import Params, Seeds
from tmu.data.keys import key64
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import GateError
from tmu.files import read_json, write_json
from tmu.manifest import digest
from tmu.models.registry import module_of
from tmu.provenance import code_digest
from tmu.refs import DataRef, ModelRef, ReferencesRef, TwinRef
from tmu.ridge.refuse import refuse_ridge_head
from tmu.steps.loading import engine, examples_at, load_model, open_store
from tmu.steps.making import identity_of, lane_of, make
from tmu.steps.read_references import read_info, read_rows
from tmu.steps.table_sets import acquainted_with
from tmu.train.engine import Progress
from tmu.train.lane import pick_device
from tmu.train.order import stream
from tmu.twin.freeze import freeze, thaw
from tmu.twin.rates import TwinProblems
from tmu.twin.rates import fit_reference_twin as fit_problems
from tmu.twin.reference_twin import ReferenceTwin
from tmu.workspace import Workspace

STAGE = "reference-twin"
RECORDS = 12_000  # of D, drawn as whole shards: on them the twin problems are posed
HELD = 3_000  # of the hold-out, at most


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name))


def fit_reference_twin(
    workspace: Workspace,
    data: DataRef,
    original: ModelRef,
    references: ReferencesRef,
    params: Params,
    *,
    progress: Progress | None = None,
    out: str | None = None,
) -> TwinRef:
    """The twin of a table, or the one that was fitted on it before erasures.

    Raises GateError where the hold-out is too small to show what a model says of records that it never saw.
    """
    refuse_ridge_head(params, "a twin")
    info = read_info(workspace, references)
    if info["pairs"] < 2:
        raise GateError(
            "The references are one pair of networks: none is left to judge what the others foresee.",
            "Set `references.pairs` to 2 or more and run `tmu references fit`.",
        )
    found = None if out else find_reference_twin(workspace, references, params)
    if found is not None:
        return found
    seeds = Seeds.all(params.seed)
    identity = identity_of(
        STAGE,
        code_of(params),
        data=data.digest,
        original=original.weights,
        references=info["root"],
        recipe=params.train.model_dump(mode="json"),
        seeds=seeds.model_dump(mode="json"),
        lane=lane_of(workspace, params.train),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        started = time.perf_counter()
        fit = engine(workspace, identity, progress)
        twin, report = fit_problems(_problems(workspace, data, original, references, params, fit))
        _save(folder, twin)
        write_json(folder / "report.json", report)
        run.update(seconds={"rates": time.perf_counter() - started})

    uri, folder = make(workspace, "twin", identity, build, out)
    return TwinRef(uri=uri, digest=digest(folder))


def find_reference_twin(workspace: Workspace, references: ReferencesRef, params: Params) -> TwinRef | None:
    """The twin that was fitted on a table or on what it was before erasures; None without one."""
    wanted = {
        "stage": STAGE,
        "code": code_digest(*code_of(params)),
        "references": read_info(workspace, references)["root"],
        "recipe": params.train.model_dump(mode="json"),
    }
    for held in workspace.artifacts.manifests("twin"):
        if {name: held.manifest["identity"].get(name) for name in wanted} == wanted:
            return TwinRef(uri=held.uri, digest=held.digest)
    return None


def _save(folder: Path, twin: ReferenceTwin) -> None:
    """So few numbers that they are JSON."""
    tensors: dict[str, torch.Tensor] = {}
    tree = freeze(twin, tensors)
    numbers = {name: [float(value) for value in each.flatten()] for name, each in tensors.items()}
    shapes = {name: list(each.shape) for name, each in tensors.items()}
    write_json(folder / "twin.json", {"twin": tree, "numbers": numbers, "shapes": shapes})


def load_reference_twin(workspace: Workspace, ref: TwinRef) -> ReferenceTwin:
    """The twin behind a reference."""
    raw = read_json(workspace.artifacts.fetch(ref.uri, ref.digest) / "twin.json")
    tensors = {name: torch.tensor(raw["numbers"][name]).reshape(shape) for name, shape in raw["shapes"].items()}
    return thaw(raw["twin"], tensors, _no_network)


def _no_network() -> torch.nn.Module:
    raise TypeError("a twin of the references holds no network")


def _problems(
    workspace: Workspace, data: DataRef, original: ModelRef, references: ReferencesRef, params: Params, fit: Any
) -> TwinProblems:
    store, info = open_store(workspace, data), read_info(workspace, references)
    buckets = shards_with(store, info["buckets"], RECORDS, params.seed)
    index = store.index()
    here = np.isin(index.buckets, buckets)
    train, held = (np.flatnonzero(here & (index.splits == SPLITS.index(name))) for name in ("train", "holdout"))
    held = held[:: -(-len(held) // HELD)] if len(held) else held
    if len(held) < 2 * len(store.info.live):
        raise GateError(
            f"The hold-out has {len(held)} records: too few to show what a model says of what it never saw.",
            "Import with a larger hold-out, or use `--method retrain`.",
        )
    learned, unseen = examples_at(store, train), examples_at(store, held)
    rows = read_rows(workspace, references, buckets)
    model, _ = load_model(workspace, original)
    known = acquainted_with(store, held, rows)
    return TwinProblems(
        model,
        learned,
        rows.aligned(learned.keys),
        torch.from_numpy(key64(index.subject_keys[train])),
        unseen,
        rows.aligned(unseen.keys),
        params.train,
        Seeds.all(params.seed),
        fit,
        pick_device(workspace.settings.device),
        None if known is None else torch.from_numpy(known),
    )


def shards_with(store: RecordStore, held: list[int], records: int, seed: int) -> list[int]:
    """So many of the buckets, in an order of the seed, that they hold `records` training records; all at most."""
    index = store.index()
    counts = np.bincount(index.buckets[index.splits == SPLITS.index("train")], minlength=max(held, default=0) + 1)
    chosen, total = [], 0
    for bucket in sorted(held, key=lambda each: stream(seed, "shards", each)):
        if total >= records:
            break
        chosen, total = [*chosen, bucket], total + int(counts[bucket])
    return sorted(chosen)
