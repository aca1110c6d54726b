"""Two ranks that Ray Train starts: the weights of torchrun's, a lost rank is recovered, errors come back whole."""

import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.compute_jobs import listening
from tmu.compute import Resources, ray_train
from tmu.compute.choose import starter_of
from tmu.compute.launch import JOB, Launch, run_ranks
from tmu.compute.ray_backend import refuse_too_few
from tmu.compute.ray_cluster import Cluster
from tmu.compute.torchrun import Torchrun
from tmu.errors import ConfigError, ModelError, StorageError
from tmu.files import write_json
from tmu.settings import Settings

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def _launch(work: str, ranks: int = 2, **job: str) -> Launch:
    return Launch(f"tests.rank_jobs:{work}", job, ranks=ranks, device="cpu", threads=1)


def test_the_settings_say_who_starts_ranks() -> None:
    assert isinstance(starter_of(Settings(compute_backend="torchrun", compute_ranks=2)), Torchrun)
    by = starter_of(Settings(compute_backend="ray", compute_ranks=2, compute_address="10.0.0.7:6379"))
    assert by == ray_train.RayTrain(Cluster("10.0.0.7:6379"))


def test_more_ranks_than_the_cluster_carries_are_refused() -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 4}}, {"Alive": True, "Resources": {"CPU": 3}}]
    refuse_too_few(nodes, 3, Resources(2))
    with pytest.raises(ConfigError, match="carries 3 of 4 ranks: each takes 2 threads and 0 GPUs") as raised:
        refuse_too_few(nodes, 4, Resources(2))
    assert "Set `compute_ranks` to what it carries" in raised.value.hint
    with pytest.raises(ConfigError, match="takes 1 threads and 1 GPUs"):
        refuse_too_few(nodes, 2, Resources(1, 1.0))


def test_a_rank_that_does_not_see_the_folder_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ray_train, "get_context", lambda: SimpleNamespace(get_world_rank=lambda: 1))
    with pytest.raises(FileNotFoundError) as raised:
        ray_train._rank({"attempt": str(tmp_path / "not there"), "facts": {}})
    with pytest.raises(ConfigError, match="A node of the Ray cluster does not see the workspace"):
        ray_train._done(_launch("x"), RuntimeError(f"rank 1:\n{raised.value}"))


def test_a_rank_of_other_versions_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ray_train, "get_context", lambda: SimpleNamespace(get_world_rank=lambda: 1))
    monkeypatch.setattr(ray_train, "end_unless", lambda wanted: None)
    write_json(tmp_path / JOB, {})
    with pytest.raises(RuntimeError, match="ConfigError in rank 1"):
        ray_train._rank({"attempt": str(tmp_path), "facts": {"torch": "1.0"}})
    assert "(elsewhere 1.0)" in (tmp_path / "error-1.json").read_text()


def test_a_cluster_that_others_fill_is_said() -> None:
    class WorkerGroupStartupTimeoutError(Exception):
        """As Ray Train's own."""

    error = SimpleNamespace(controller_failure=WorkerGroupStartupTimeoutError())
    with pytest.raises(StorageError, match="Other work has the places that 2 ranks need"):
        ray_train._done(_launch("x"), error)
    assert not ray_train._done(_launch("x"), RuntimeError("a rank was killed"))
    assert ray_train._done(_launch("x"), None)


@pytest.mark.drill
def test_the_weights_are_those_of_torchrun_also_after_a_loss(tmp_path: Path) -> None:
    """One cluster for all, since starting it takes most of the time."""
    folders = {name: tmp_path / name for name in ("torchrun", "ray", "broken", "refused", "few", "left")}
    for folder in folders.values():
        folder.mkdir()
    run_ranks(_launch("train_twice"), folders["torchrun"], lambda *_: None, Torchrun())
    told: list[tuple] = []
    by = ray_train.RayTrain(Cluster())
    with Cluster().connected():
        run_ranks(_launch("train_twice"), folders["ray"], lambda *words: told.append(words), by)
        assert [step for step, steps, _ in told if steps == 16] == [8, 8, 16, 16] * 2
        assert listening() | _heard_in(folders["ray"]) <= LOOPBACK
        broken = _launch("lose_a_rank", snapshot=str(tmp_path / "snapshot"))
        run_ranks(broken, folders["broken"], lambda *_: None, by)
        with pytest.raises(ModelError) as raised:
            run_ranks(_launch("refuse"), folders["refused"], lambda *_: None, by)
        assert raised.value.hint == "Lower `lr`."
        with pytest.raises(ConfigError, match="of 999 ranks"):
            run_ranks(_launch("train_twice", ranks=999), folders["few"], lambda *_: None, by)
        assert list(folders["few"].iterdir()) == []
        _ranks_end_with_the_block(folders["left"], by)
    for name in ("norm-0", "norm-1", "plain-0", "plain-1"):
        assert _bytes(folders["ray"], name) == _bytes(folders["torchrun"], name)
    assert (folders["broken"] / "lost").exists()
    with safe_open(folders["broken"] / "norm-0.safetensors", framework="pt") as file:
        assert int(file.metadata()["resumed_at"]) > 0
    found, expected = (load_file(folders[name] / "norm-0.safetensors") for name in ("broken", "torchrun"))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def _ranks_end_with_the_block(folder: Path, by: ray_train.RayTrain) -> None:
    """The caller is interrupted while the ranks work; the connection to the cluster stays."""
    pids: list[int] = []

    def heard(pid: int, _: int) -> None:
        pids.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_ranks(_launch("wait_long"), folder, heard, by)
    assert psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=40)[1] == []
    assert pids
    assert not [each for each in threading.enumerate() if each.name.endswith("(_carry_out)")]


def _heard_in(folder: Path) -> set[str]:
    return {ip for rank in (0, 1) for ip in (folder / f"listens-{rank}").read_text().split()}


def _bytes(folder: Path, name: str) -> bytes:
    return (folder / f"{name}.safetensors").read_bytes()
