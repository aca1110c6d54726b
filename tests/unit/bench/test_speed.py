"""The engine beside plain loops: what is compared is the same, and a ratio is what it says."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench import results
from bench.speed import cases, loops, pairs
from bench.speed.__main__ import SUITE, measure
from tmu.errors import ConfigError


@pytest.fixture(scope="module")
def case() -> cases.Case:
    return cases.cases(cases.TOY, None)[0]


def test_a_ratio_is_the_geometric_mean_over_the_pairs_with_its_interval() -> None:
    middle, low, high = pairs.ratio([2.0, 4.0, 8.0], [1.0, 1.0, 1.0])
    assert middle == pytest.approx(4.0)
    half = 4.303 * math.log(2) / math.sqrt(3)
    assert (low, high) == (pytest.approx(4 * math.exp(-half)), pytest.approx(4 * math.exp(half)))
    assert pairs.ratio([3.0], [1.0])[2] == math.inf  # one pair tells nothing of the spread


def test_all_loops_begin_with_the_same_weights_and_train_them(case: cases.Case) -> None:
    first = case.model(3).state_dict()
    assert all(torch.equal(value, case.model(3).state_dict()[name]) for name, value in first.items())
    for name, loop in loops.LOOPS.items():
        trained = loop(case, 3).state_dict()
        assert set(trained) == set(first), name
        moved = [key for key in trained if not torch.equal(trained[key].float(), first[key].float())]
        assert len(moved) > len(first) // 2, name


def test_loops_take_the_same_number_of_steps(case: cases.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = dict.fromkeys(loops.LOOPS, 0)
    given = torch.optim.SGD.step

    def counted(self: torch.optim.SGD, *arguments: object) -> object:
        steps[now] += 1
        return given(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    for now in loops.LOOPS:
        loops.LOOPS[now](case, 0)
    assert set(steps.values()) == {2}  # 64 records, 32 a batch


def test_papers_look_at_the_records_that_the_engine_beside_them_looks_at(
    case: cases.Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[torch.Tensor] = []
    monkeypatch.setattr(loops, "fit", lambda *_, held, **__: looked.append(held.images.float() / 255))
    loops.engine_that_looks(case, 0)
    given = loops._validated

    def validated(model: torch.nn.Module, held: loops._Views, batch_size: int) -> float:
        looked.append(torch.stack([held[number][0] for number in range(len(held))]))
        return given(model, held, batch_size)

    monkeypatch.setattr(loops, "_validated", validated)
    loops.plain(case, 0)
    assert len(looked) == 1
    loops.papers(case, 0)
    assert len(looked) == 2  # one epoch
    assert len(looked[0]) == 64 // 9
    torch.testing.assert_close(looked[1], looked[0])


def test_the_command_stores_a_row_for_each_loop_and_renders_them(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    lines = measure(SimpleNamespace(cifar=None, avx2=False, pairs=2, threads=threads, toy=True, results=tmp_path))
    rows = results.read(SUITE, tmp_path).to_pylist()
    methods = {row["method"].rpartition(": ")[2] for row in rows}
    assert methods == {*loops.LOOPS, "all"}
    ratios = {row["metric"] for row in rows if row["unit"] == "x"}
    assert {
        f"over the engine, {what}{end}" for what in ("wall time", "CPU time") for end in ("", ", low", ", high")
    } == ratios
    assert len(lines) == len(rows)
    assert "papers' loop" in (tmp_path / "speed.md").read_text()


def test_a_folder_without_cifar_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no CIFAR-10"):
        cases.cases(cases.TOY, tmp_path)
