"""The number of threads: as said, or as measured once on each kind of machine for each architecture."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tmu.cli import upkeep
from tmu.compute import resources_of, threads
from tmu.compute.threads import Measured, chosen, keep, recorded, threads_apart, threads_known, threads_of
from tmu.config import ModelConfig, Params, TrainConfig
from tmu.errors import ConfigError, DataError
from tmu.settings import Settings, load_settings
from tmu.steps.history import History
from tmu.steps.making import lane_apart, lane_known, lane_of
from tmu.workspace import Workspace, untouched

TINY = Params(
    model=ModelConfig(name="small_resnet", options={"width": 2}), train=TrainConfig(batch_size=4, precision="fp32")
)
INFO = SimpleNamespace(shape=(1, 8, 8), classes=("a", "b"))


class Place(Workspace):
    """A workspace of one architecture, without files."""

    params = TINY


def place(root: Path, **given) -> Place:
    return Place(root, Settings(device="cpu", **{"threads": "auto", **given}))


@pytest.fixture
def measurements(monkeypatch) -> list[list[int]]:
    """Each call of the measurement, which finds two threads to be worth it."""
    calls: list[list[int]] = []

    def found(_params, _info, counts):
        calls.append(counts)
        return dict.fromkeys(counts, 1.0) | {2: 0.5}

    monkeypatch.setattr(threads, "measured_seconds", found)
    monkeypatch.setattr("tmu.data.info.read_info", lambda _path: INFO)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1, 2})
    return calls


@pytest.mark.parametrize(
    ("seconds", "number"),
    [
        ({1: 1.0}, 1),
        ({1: 1.0, 2: 0.81}, 1),
        ({1: 1.0, 2: 0.8}, 2),
        ({1: 1.0, 2: 0.6, 8: 0.5}, 2),
        ({1: 1.0, 2: 0.6, 8: 0.3}, 8),
        ({1: 1.0, 2: 0.9, 8: 0.7}, 8),
        ({1: 1.0, 2: 3.0, 8: 9.0}, 1),
    ],
)
def test_more_threads_are_taken_only_where_they_save_a_fifth(seconds, number):
    assert chosen(seconds) == number


def test_it_is_measured_once_and_kept_in_the_workspace(tmp_path, measurements):
    assert [threads_of(place(tmp_path)) for _ in range(3)] == [2, 2, 2]
    assert measurements == [[1, 2, 3]]
    assert recorded(place(tmp_path)).seconds == {1: 1.0, 2: 0.5, 3: 1.0}
    assert (tmp_path / ".tmu" / "threads.json").is_file()


def test_another_architecture_or_kind_of_machine_is_measured_for_itself(tmp_path, measurements, monkeypatch):
    first = place(tmp_path)
    assert threads_of(first) == 2
    first.params = TINY.model_copy(update={"model": ModelConfig(name="resnet9")})
    assert recorded(first) is None
    assert threads_of(first) == 2
    given = threads.hardware
    monkeypatch.setattr(threads, "hardware", lambda: given() | {"processor": "another"})
    assert recorded(place(tmp_path)) is None
    assert threads_of(place(tmp_path)) == 2
    assert len(measurements) == 3


def test_a_number_that_is_said_is_never_measured(tmp_path, measurements):
    assert threads_of(place(tmp_path, threads=3)) == threads_apart(Settings(threads=3)) == 3
    assert Settings().threads == 1
    assert threads_of(place(tmp_path, compute_backend="torchrun", compute_ranks=2)) == 1  # ranks have the cores
    assert measurements == []


def test_what_runs_side_by_side_has_one_thread(tmp_path, measurements):
    settings = place(tmp_path).settings
    assert resources_of(settings, "cpu").threads == threads_apart(settings) == 1
    assert resources_of(settings, "cpu", 2).threads == 2
    assert lane_apart(place(tmp_path), TINY.train)["threads"] == 1
    assert measurements == []
    assert lane_of(place(tmp_path), TINY.train)["threads"] == 2


def test_who_only_looks_writes_nothing_and_a_replay_computes_as_recorded(tmp_path, measurements):
    looking = untouched(place(tmp_path), tmp_path / "scratch")
    assert threads_of(looking) == 2
    assert not (tmp_path / ".tmu").exists()
    threads_of(place(tmp_path))
    replaying = untouched(place(tmp_path), tmp_path / "other")
    keep(replaying, Measured(threads=1))
    assert (threads_of(replaying), threads_of(place(tmp_path))) == (1, 2)


def test_a_plan_measures_nothing_and_forecasts_for_one_thread_until_a_training_has_measured(tmp_path, measurements):
    first = place(tmp_path)
    assert (threads_known(first), lane_known(first, TINY.train)["threads"]) == (None, 1)
    assert History(first, TINY).seconds_per_visit() is None
    assert measurements == [] and not (tmp_path / ".tmu" / "threads.json").exists()
    threads_of(first)
    assert (threads_known(first), lane_known(first, TINY.train)) == (2, lane_of(first, TINY.train))
    assert threads_known(place(tmp_path, threads=3)) == 3
    assert threads_known(place(tmp_path, compute_backend="torchrun", compute_ranks=2)) == 1


def test_doctor_tells_the_number_and_does_not_measure(tmp_path, measurements):
    ends = [upkeep.compute(place(tmp_path, threads=3)).text, upkeep.compute(place(tmp_path)).text]
    assert measurements == []
    threads_of(place(tmp_path))
    ends.append(upkeep.compute(place(tmp_path)).text)
    assert [text.partition("threads: ")[2] for text in ends] == [
        "3",
        "measured at the first training",
        "2 by measurement (1: 1000 ms a step, 2: 500 ms a step, 3: 1000 ms a step)",
    ]


def test_without_data_it_cannot_be_measured(tmp_path):
    with pytest.raises(DataError):
        threads_of(place(tmp_path))


@pytest.mark.parametrize("value", ['"many"', "0", "1.5"])
def test_other_values_are_refused(tmp_path, value):
    (tmp_path / "tmu.toml").write_text(f"threads = {value}\n")
    with pytest.raises(ConfigError, match="threads"):
        load_settings(tmp_path)


def test_auto_is_read_from_file_and_environment(tmp_path, monkeypatch):
    (tmp_path / "tmu.toml").write_text('threads = "auto"\n')
    assert load_settings(tmp_path).threads == "auto"
    monkeypatch.setenv("TMU_THREADS", "2")
    assert load_settings(tmp_path).threads == 2
    monkeypatch.setenv("TMU_THREADS", "auto")
    assert load_settings(tmp_path).threads == "auto"


def test_numbers_are_tried_in_turns_by_the_same_records_and_the_best_step_counts(monkeypatch):
    asked: list[tuple[int, int]] = []

    def steps(_params, _info, count, records):
        asked.append((count, records))
        return [count / len(asked), 9.0]

    monkeypatch.setattr(threads, "_steps", steps)
    found = threads.measured_seconds(TINY, INFO, [1, 2, 8])
    assert [count for count, _ in asked] == [1, 1, 2, 8, 8, 2, 1]  # the first guesses how long a step takes
    assert found == {1: 1 / 7, 2: 2 / 6, 8: 8 / 5}
    assert len({records for _, records in asked[1:]}) == 1
    monkeypatch.setattr(threads, "_ENOUGH", -1.0)
    asked.clear()
    threads.measured_seconds(TINY, INFO, [1, 2, 8])
    assert [count for count, _ in asked] == [1, 1, 2, 8]  # an overloaded machine is asked once


def test_the_measurement_trains_a_network_of_its_own_and_leaves_all_as_it_was():
    state = torch.get_rng_state()
    found = threads.measured_seconds(TINY, INFO, [1])
    assert found[1] > 0
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.get_rng_state(), state)


def test_an_identity_holds_the_number_and_not_how_it_was_found(tmp_path, measurements):
    auto, said = place(tmp_path), place(tmp_path, threads=2)
    assert lane_of(auto, TINY.train) == lane_of(said, TINY.train)
