"""What `tmu doctor` says of the compute backend."""

import os

import pytest

from tmu.compute import check
from tmu.compute.check import check_compute
from tmu.compute.facts import facts
from tmu.settings import Settings


def test_a_local_backend_says_how_many_items_it_carries() -> None:
    found = check_compute(Settings(device="cpu", compute_workers=1))
    assert (found.state, found.text) == ("ok", "local on cpu, 1 items at once")
    ranked = check_compute(Settings(device="cpu", compute_workers=1, compute_backend="torchrun", compute_ranks=3))
    assert ranked.text == "torchrun on cpu, 1 items at once, a training by 3 ranks"


def test_ranks_that_this_machine_does_not_carry_fail() -> None:
    many = 1 + len(os.sched_getaffinity(0))
    ranked = check_compute(Settings(device="cpu", compute_backend="ray", compute_ranks=many))
    assert ranked.state == "fail"
    assert ranked.text.startswith(f"The Ray cluster carries {many - 1} of {many} ranks")
    one = check_compute(Settings(device="cpu", compute_backend="ray"))
    assert (one.state, one.text) == ("ok", "a Ray cluster of this machine alone, started when it is needed")


def test_a_gpu_that_is_not_there_fails() -> None:
    assert check_compute(Settings(device="cuda")).text == "There is no GPU on this machine."


def test_a_cluster_that_does_not_answer_fails() -> None:
    found = check_compute(Settings(device="cpu", compute_backend="ray", compute_address="127.0.0.1:1"))
    assert found.state == "fail"
    assert "Nobody answers at 127.0.0.1:1" in found.text


@pytest.mark.parametrize(
    ("there", "asks", "state", "words"),
    [
        ({}, True, "ok", "nodes of the same versions: 1"),
        ({"torch": "1.0"}, True, "fail", "nodes differ: 10.0.0.7: torch 1.0"),
        ({}, False, "fail", "anybody who reaches 10.0.0.7:6379 can run code there"),
    ],
)
def test_a_cluster_is_looked_at_node_by_node(monkeypatch, there, asks, state, words) -> None:
    class Connected:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def nodes(self):
            return [{"Alive": True, "NodeManagerAddress": "10.0.0.7"}, {"Alive": False, "NodeManagerAddress": "x"}]

    monkeypatch.setattr(check.Cluster, "connected", lambda self: Connected())
    monkeypatch.setattr(check, "_facts_of", lambda ray, node: facts() | there)
    monkeypatch.setattr(check, "_asks_nobody", lambda address: not asks)
    found = check_compute(Settings(device="cpu", compute_backend="ray", compute_address="10.0.0.7:6379"))
    assert found.state == state
    assert words in found.text
