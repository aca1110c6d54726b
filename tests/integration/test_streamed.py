"""A set larger than memory is learned, unlearned and audited from files, with the bytes of the path in memory."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import make_workspace
from tests.integration.test_references import person
from tmu.errors import DataError
from tmu.refs import AuditRef, ReferencesRef
from tmu.steps.audit_by_references import audit_by_references
from tmu.steps.cases import TableAuditCase, UnlearnCase
from tmu.steps.erase_data import erase_data
from tmu.steps.fit_reference_twin import fit_reference_twin
from tmu.steps.fit_references import fit_references
from tmu.steps.loading import data_ref, open_store, run_record
from tmu.steps.measure_accuracy import measure_accuracy
from tmu.steps.train_model import train_gold, train_original
from tmu.steps.unlearn_model import unlearn_model
from tmu.workspace import Workspace

SMALL = {
    "model": {"name": "small_resnet", "options": {"width": 4}},
    "train": {"epochs": 2, "augment": "shift"},
    "references": {"pairs": 2},
    "audit": {"bootstrap": 100, "head_records": 100, "sample": 200},
}


pytestmark = pytest.mark.drill  # the same bytes of a training: tests/unit/train/test_train_source.py
WAYS = {"in memory": 1024, "streamed": 0}


def _walked(workspace: Workspace) -> dict[str, object]:
    """Original, gold, references, their twin, three methods and an audit; what each is, by bytes and numbers."""
    data, params = data_ref(workspace), workspace.params
    forget, _ = person(workspace, data)
    original = train_original(workspace, data, params)
    references = fit_references(workspace, data, params)
    found: dict[str, object] = {
        "original": original.weights,
        "gold": train_gold(workspace, data, forget, params).weights,
        "references": _files(workspace, references),
    }
    twin = fit_reference_twin(workspace, data, original, references, params)
    shared = {"data": data, "forget": forget, "original": original, "twin": twin, "references": references}
    for method in ("tmu-soft", "salun", "amun"):
        case = UnlearnCase(**shared, params=params.with_method(method))
        found[method] = unlearn_model(workspace, case).weights
    soft = UnlearnCase(**shared, params=params.with_method("tmu-soft"))
    unlearned = unlearn_model(workspace, soft)
    audit = audit_by_references(workspace, TableAuditCase(**shared, params=soft.params, unlearned=unlearned))
    return found | {
        "twin": twin.digest,
        "audit": _numbers(workspace, audit),
        "accuracy": measure_accuracy(workspace, data, unlearned),
        "way": run_record(workspace, original)["pictures"],
    }


def _files(workspace: Workspace, references: ReferencesRef) -> dict[str, bytes]:
    folder = workspace.artifacts.fetch(references.uri, references.digest)
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def _numbers(workspace: Workspace, audit: AuditRef) -> list[object]:
    raw = json.loads((workspace.artifacts.fetch(audit.uri, audit.digest) / "audit.json").read_text())
    return [_without_seconds(raw[part]) for part in ("result", "verdict")]


def _without_seconds(raw: object) -> object:
    if isinstance(raw, dict):
        return {name: _without_seconds(each) for name, each in raw.items() if name != "seconds"}
    return [_without_seconds(each) for each in raw] if isinstance(raw, list) else raw


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Workspace, dict[str, object]]]:
    """The same walk in two workspaces, by the way in which pictures come."""
    folder = tmp_path_factory.mktemp("streamed")
    make_workspace(folder / "first", **SMALL)
    found = {}
    for way, most in WAYS.items():
        root = Path(shutil.copytree(folder / "first", folder / way, symlinks=True))
        (root / "tmu.toml").write_text(f"stream_above_mib = {most}\n")
        workspace = Workspace.open(root)
        found[way] = workspace, _walked(workspace)
    return found


def test_what_is_learned_unlearned_and_audited_from_files_has_the_same_bytes(walked) -> None:
    held, files = (found for _, found in walked.values())
    assert (held.pop("way"), files.pop("way")) == ("in memory", "streamed")
    assert held.keys() == files.keys()
    assert [name for name in held if held[name] != files[name]] == []
    assert held["references"] and held["audit"][0]["rows"]


def test_a_damaged_picture_stops_the_training_and_the_same_call_completes_it(walked) -> None:
    (held, _), (files, _) = walked.values()
    data = data_ref(files)
    forget, _ = person(files, data)
    person(held, data)
    path = sorted(files.decoded.glob("*.npy"))[0]
    raw = np.fromfile(path, np.uint8)
    raw[128:] ^= 1
    raw.tofile(path)
    with pytest.raises(DataError, match=r"row \d+ of shard [0-9a-f]{2}\.parquet is damaged"):
        train_gold(files, data, forget, files.params, run=1)
    again, other = (train_gold(each, data, forget, each.params, run=1) for each in (files, held))
    assert again.weights == other.weights


def test_an_erasure_takes_the_decoded_pictures_of_the_person(walked) -> None:
    workspace, _ = walked["streamed"]
    assert not walked["in memory"][0].decoded.exists()
    data = data_ref(workspace)
    forget, keys = person(workspace, data)
    store = open_store(workspace, data)
    gone = [image.tobytes() for image in store.at(store.index().find_records(keys)[0]).images]
    assert _held(workspace, gone) == len(gone)
    erase_data(workspace, data, forget)
    assert _held(workspace, gone) == 0
    assert list(workspace.decoded.glob("*.npy"))  # of the other shards


def _held(workspace: Workspace, pictures: list[bytes]) -> int:
    whole = b"".join(path.read_bytes() for path in workspace.decoded.glob("*.npy"))
    return sum(picture in whole for picture in pictures)
