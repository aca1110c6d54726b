"""Steps on every backend: the same table from two nodes of a Ray cluster, and models of two ranks."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import make_workspace
from tmu import manifest
from tmu.config import Params, UnlearnConfig
from tmu.errors import ConfigError
from tmu.files import write_json
from tmu.refs import DataRef, ForgetRef
from tmu.steps.cases import UnlearnCase
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
    from ray.cluster_utils import Cluster

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


def _some(workspace: Workspace, data: DataRef) -> ForgetRef:
    index = open_store(workspace, data).index()
    keys = index.keys_at((index.splits == 0).nonzero()[0][:40])

    def build(folder: Path, run: dict) -> None:
        write_json(folder / "forget.json", {"data": data.digest, "records": keys})

    uri, folder = make(workspace, "forget", {"stage": "forget", "records": keys}, build)
    return ForgetRef(uri=uri, digest=manifest.digest(folder), data_digest=data.digest)


@pytest.mark.parametrize(("backend", "ranks"), [("torchrun", "1"), ("local", "2"), ("ray", "2")])
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
