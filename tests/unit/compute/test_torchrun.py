"""Two ranks train one model: equal on both, the same bits each time, close to one process; a lost rank is recovered."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.rank_jobs import trained
from tmu.compute.launch import Launch, run_ranks
from tmu.compute.torchrun import Torchrun
from tmu.errors import ConfigError, DataError, ModelError, StorageError
from tmu.train.ranks import Ranks

TOLERANCE = 1e-5  # of weights of order one after 16 steps; sums of another order differ at 1e-7


def _launch(work: str, **job: str) -> Launch:
    return Launch(f"tests.rank_jobs:{work}", job, ranks=2, device="cpu", threads=1)


def _history(path: Path) -> list[dict[str, float]]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["history"])


@pytest.mark.slow
def test_two_ranks_train_one_model(tmp_path: Path) -> None:
    told: list[tuple] = []
    run_ranks(_launch("train_twice"), tmp_path, lambda *words: told.append(words), Torchrun())
    for kind in ("norm", "plain"):
        first, second = (tmp_path / f"{kind}-{rank}.safetensors" for rank in (0, 1))
        assert first.read_bytes() == second.read_bytes()  # weights, running statistics and history
    model, report = trained(norm=False)
    found = load_file(tmp_path / "plain-0.safetensors")
    apart = {name: float((found[name] - value).abs().max()) for name, value in model.state_dict().items()}
    assert 0 < max(apart.values()) < TOLERANCE
    for mine, theirs in zip(report.history, _history(tmp_path / "plain-0.safetensors"), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
    with_norm = load_file(tmp_path / "norm-0.safetensors")["0.weight"]
    assert float((with_norm - trained(norm=True)[0].state_dict()["0.weight"]).abs().max()) > TOLERANCE
    assert [step for step, steps, _ in told if steps == 16] == [8, 8, 16, 16] * 2
    listening = {ip for rank in (0, 1) for ip in (tmp_path / f"listens-{rank}").read_text().split()}
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@pytest.mark.drill
def test_a_lost_rank_is_recovered_to_the_same_bits(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    run_ranks(_launch("train_twice"), whole, lambda *_: None, Torchrun())
    run_ranks(_launch("lose_a_rank", snapshot=str(tmp_path / "snapshot")), broken, lambda *_: None, Torchrun())
    assert (broken / "lost").exists()
    with safe_open(broken / "norm-0.safetensors", framework="pt") as file:
        assert int(file.metadata()["resumed_at"]) > 0
    assert _history(broken / "norm-0.safetensors") == _history(whole / "norm-0.safetensors")
    expected, found = load_file(whole / "norm-0.safetensors"), load_file(broken / "norm-0.safetensors")
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.drill
def test_an_error_of_ours_in_a_rank_is_raised_whole(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        run_ranks(_launch("refuse"), tmp_path, lambda *_: None, Torchrun())
    assert raised.value.hint == "Lower `lr`."


@pytest.mark.drill
def test_ranks_end_with_who_started_them_also_by_kill(tmp_path: Path) -> None:
    starts = (
        "from pathlib import Path; from tmu.compute.launch import Launch, run_ranks; "
        "from tmu.compute.torchrun import Torchrun; "
        f"launch = Launch('tests.rank_jobs:wait_long', {{}}, 2, 'cpu', 1); "
        f"run_ranks(launch, Path({str(tmp_path)!r}), lambda *pids: print(*pids, flush=True), Torchrun())"
    )
    parent = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    processes = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    assert psutil.wait_procs(processes, timeout=40)[1] == []


def test_ranks_that_are_lost_again_and_again_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StorageError, match="A rank of the training ended before its time, 3 times"):
        run_ranks(_launch("train_twice"), tmp_path, lambda *_: None, Torchrun())


def test_more_ranks_than_gpus_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="There are 1 GPUs for 2 ranks"):
        run_ranks(Launch("x:y", {}, 2, "cuda", 1), tmp_path, lambda *_: None, Torchrun())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_parts_of_a_batch_are_the_batch(world: int) -> None:
    rows = torch.randperm(13)
    parts = [Ranks(rank, world).part(rows) for rank in range(world)]
    assert torch.equal(torch.cat(parts), rows)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_batch_that_gives_a_rank_one_record_is_refused() -> None:
    Ranks(0, 3).refuse_small(6)
    with pytest.raises(DataError, match="batch of 5 records is too small for 3 ranks"):
        Ranks(0, 3).refuse_small(5)
