"""Steps on every backend: the same table from two nodes of a Ray cluster, and models of two ranks."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.compute_jobs import die
from tests.integration.conftest import make_workspace
from tmu import manifest
from tmu.compute import Local, backend_of, ray_cluster, resources_of, side_by_side
from tmu.compute.check import check_compute
from tmu.config import Params, UnlearnConfig
from tmu.errors import ConfigError, StorageError
from tmu.files import write_json
from tmu.refs import DataRef, ForgetRef
from tmu.steps import train_golds as golding
from tmu.steps.cases import GoldsCase, UnlearnCase
from tmu.steps.fit_references import fit_references
from tmu.steps.keep_evidence import environment_of
from tmu.steps.loading import data_ref, open_store, run_record
from tmu.steps.making import make
from tmu.steps.train_model import train_gold, train_original
from tmu.steps.unlearn_model import unlearn_model
from tmu.workspace import Workspace

SMALL = {
    "model": {"name": "small_resnet", "options": {"width": 4}},
    "train": {"epochs": 3},
    "references": {"pairs": 2},
    "audit": {"bootstrap": 100, "head_records": 100},
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("compute"), **SMALL)


def copy_of(workspace: Workspace, folder: Path) -> Workspace:
    """The same data in a workspace of its own, under the settings as they are now."""
    return Workspace.open(shutil.copytree(workspace.root, folder, symlinks=True))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a Ray cluster of two nodes with one place each, which asks for a token."""
    before = dict(os.environ)
    token = tmp_path / "token"
    token.write_text("6f" * 32)
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ.pop("RAY_AUTH_TOKEN", None)
    from ray.cluster_utils import Cluster

    ray_cluster._read_again(alone=False)
    nodes = Cluster(head_node_args={"num_cpus": 1, "include_dashboard": False}, initialize_head=True)
    nodes.add_node(num_cpus=1)
    os.environ |= {"TMU_COMPUTE_BACKEND": "ray", "TMU_COMPUTE_ADDRESS": nodes.address, "TMU_COMPUTE_TOKEN": str(token)}
    yield nodes.address
    nodes.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.drill
def test_two_nodes_fit_the_table_of_one_machine_though_a_worker_is_killed(plain, cluster, tmp_path) -> None:
    data = data_ref(plain)
    expected = fit_references(plain, data, plain.params)
    anew = copy_of(plain, tmp_path / "anew")
    shutil.rmtree(anew.state("artifacts", "references"))
    killed: list[int] = []
    threading.Thread(target=_kill_a_worker, args=(anew.state("references"), killed), daemon=True).start()
    told: list[int] = []
    assert fit_references(anew, data, anew.params, progress=lambda done, *_: told.append(done)) == expected
    assert killed
    assert len(told) > 4
    assert check_compute(anew.settings).text == f"Ray at {cluster}, nodes of the same versions: 2"
    settings = anew.settings
    with pytest.raises(StorageError, match="The worker of 7 ended before its time, 3 times"):
        side_by_side(backend_of(settings), die, [7], resources_of(settings, "cpu"))
    os.environ["TMU_COMPUTE_TOKEN"] = str(tmp_path / "wrong")
    (tmp_path / "wrong").write_text("00" * 32)
    refused = copy_of(plain, tmp_path / "refused")
    shutil.rmtree(refused.state("artifacts", "references"))
    with pytest.raises(ConfigError, match="does not accept this token"):
        fit_references(refused, data, refused.params)


def _kill_a_worker(folder: Path, killed: list[int]) -> None:
    """As soon as one network is done, kill a worker of Ray that is at another."""
    while not list(folder.glob("*/??.safetensors")):
        time.sleep(0.05)
    while not killed:
        for process in psutil.process_iter(["name"]):
            if "ray::_stream" in (process.info["name"] or "") and not killed:
                process.kill()
                killed.append(process.pid)
        time.sleep(0.01)


@pytest.fixture
def ranked(plain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TMU_COMPUTE_BACKEND", "torchrun")
    monkeypatch.setenv("TMU_COMPUTE_RANKS", "2")
    return copy_of(plain, tmp_path / "ranked")


@pytest.mark.drill
def test_original_and_retrained_model_of_two_ranks_say_so(plain: Workspace, ranked: Workspace) -> None:
    data, params = data_ref(ranked), ranked.params
    told: list[tuple] = []
    original = train_original(ranked, data, params, progress=lambda *words: told.append(words))
    folder = ranked.artifacts.fetch(original.uri, original.digest)
    assert manifest.read(folder)["identity"]["lane"]["ranks"] == environment_of(folder).ranks == 2
    assert told[-1][0] == told[-1][1]
    alone = train_original(plain, data, params)
    assert alone.weights != original.weights
    assert environment_of(plain.artifacts.fetch(alone.uri, alone.digest)).ranks == 1
    accuracies = [
        run_record(place, ref)["history"][-1]["accuracy_pct"] for place, ref in ((ranked, original), (plain, alone))
    ]
    assert abs(accuracies[0] - accuracies[1]) < 10
    forget = _some(ranked, data)
    gold = train_gold(ranked, data, forget, params)
    exactly = params.model_copy(update={"unlearn": UnlearnConfig(method="retrain")})
    case = UnlearnCase(data=data, forget=forget, original=original, params=exactly)
    assert unlearn_model(ranked, case).weights == gold.weights
    assert not list(ranked.state("snapshots").glob("*"))


@pytest.mark.drill
def test_ranks_on_two_nodes_train_the_model_of_torchrun(
    ranked: Workspace, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, params, anew = data_ref(ranked), ranked.params, copy_of(ranked, tmp_path / "anew")
    expected = train_original(ranked, data, params)
    found = train_original(anew, data, params)
    assert found.weights == expected.weights
    assert manifest.read(anew.artifacts.fetch(found.uri, found.digest))["identity"]["lane"]["ranks"] == 2
    assert not list(anew.state("snapshots").glob("*"))
    monkeypatch.setenv("TMU_COMPUTE_RANKS", "3")
    few = Workspace.open(anew.root)
    before = sorted(few.state("artifacts").rglob("*"))
    with pytest.raises(ConfigError, match="The Ray cluster carries 2 of 3 ranks: each takes 1 threads and 0 GPUs"):
        train_original(few, data, params)
    assert sorted(few.state("artifacts").rglob("*")) == before
    assert check_compute(few.settings).text.startswith("The Ray cluster carries 2 of 3 ranks")


@pytest.mark.drill
def test_golds_of_processes_are_those_of_this_one(plain: Workspace, tmp_path: Path, monkeypatch) -> None:
    anew = copy_of(plain, tmp_path / "anew")
    data, forget = data_ref(plain), _some(plain, data_ref(plain))
    case = GoldsCase(data=data, forget=_some(anew, data), params=plain.params, runs=(0, 1))
    expected = [train_gold(plain, data, forget, plain.params, run=run) for run in case.runs]
    monkeypatch.setattr(golding, "_PATIENCE", -1.0)
    monkeypatch.setattr(Local, "places", lambda *_: 2)
    told: list[tuple[int, int]] = []
    made = golding.train_golds(anew, case, progress=lambda step, steps, _: told.append((step, steps)))
    assert made == expected
    assert told[-1][0] <= told[-1][1]
    assert len({steps for _, steps in told}) == 1
    again: list[tuple] = []
    assert golding.train_golds(anew, case, progress=lambda *words: again.append(words)) == expected
    assert not again


def _some(workspace: Workspace, data: DataRef) -> ForgetRef:
    index = open_store(workspace, data).index()
    keys = index.keys_at((index.splits == 0).nonzero()[0][:40])

    def build(folder: Path, run: dict) -> None:
        write_json(folder / "forget.json", {"data": data.digest, "records": keys})

    uri, folder = make(workspace, "forget", {"stage": "forget", "records": keys}, build)
    return ForgetRef(uri=uri, digest=manifest.digest(folder), data_digest=data.digest)


@pytest.mark.parametrize(("backend", "ranks"), [("torchrun", "1"), ("local", "2")])
def test_settings_that_contradict_each_other_are_refused_before_anything_is_made(
    plain: Workspace, monkeypatch: pytest.MonkeyPatch, backend: str, ranks: str
) -> None:
    monkeypatch.setenv("TMU_COMPUTE_BACKEND", backend)
    monkeypatch.setenv("TMU_COMPUTE_RANKS", ranks)
    workspace = Workspace.open(plain.root)
    before = sorted(workspace.state("artifacts").rglob("*"))
    with pytest.raises(ConfigError, match=f"`compute_ranks` is {ranks}, and `compute_backend` is `{backend}`"):
        train_original(workspace, data_ref(workspace), Params())
    assert sorted(workspace.state("artifacts").rglob("*")) == before
