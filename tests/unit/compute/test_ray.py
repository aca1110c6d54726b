"""Work on a Ray cluster: results, news and errors as in processes; a killed worker's item is begun again."""

import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.compute_jobs import die, die_once, listening, refuse_or_go_on
from tmu.compute import Resources, backend_of, facts, ray_cluster, side_by_side
from tmu.compute.ray_backend import Ray, carried
from tmu.compute.ray_cluster import Cluster
from tmu.errors import ConfigError, DataError, StorageError
from tmu.settings import Settings

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def _node(alive: bool = True, **resources: float) -> dict:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("nodes", "resources", "expected"),
    [
        ([_node(CPU=4), _node(CPU=3)], Resources(2), 3),
        ([_node(CPU=4), _node(alive=False, CPU=8)], Resources(1), 4),
        ([_node(CPU=4, GPU=1), _node(CPU=16, GPU=2)], Resources(1, 0.5), 6),
        ([_node(CPU=1, GPU=4)], Resources(1, 0.5), 1),
        ([_node(CPU=9, GPU=3)], Resources(1, 0.3), 9),
    ],
)
def test_as_many_items_as_the_nodes_carry(nodes, resources, expected) -> None:
    assert carried(nodes, resources) == expected


def test_an_item_that_no_node_can_carry_is_refused() -> None:
    with pytest.raises(ConfigError, match="takes 2 threads and 1 GPUs; the best node of the Ray cluster has 4 and 0"):
        carried([_node(CPU=4), _node(CPU=1)], Resources(2, 1.0))


def test_an_address_at_which_nobody_listens_is_said_soon() -> None:
    settings = Settings(compute_backend="ray", compute_address="127.0.0.1:1")
    with pytest.raises(StorageError, match=r"Nobody answers at 127\.0\.0\.1:1"):
        side_by_side(backend_of(settings), die, [1], Resources())


def test_rays_token_cannot_be_turned_off(monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ConfigError, match="RAY_AUTH_MODE turns Ray's token off"), Cluster().connected():
        pass


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file .*token"), Cluster("127.0.0.1:1", tmp_path / "token").connected():
        pass


def test_without_the_extra_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="not installed") as raised, Cluster().connected():
        pass
    assert "'.[ray]'" in raised.value.hint


def test_a_node_with_other_versions_is_refused() -> None:
    assert facts.compared(facts.facts()) is None
    refused = facts.compared(facts.facts() | {"torch": "1.0"})
    assert refused is not None
    assert "(elsewhere 1.0)" in refused.what


def test_a_cluster_of_ours_that_is_not_on_loopback_is_refused() -> None:
    open_to_all = SimpleNamespace(nodes=lambda: [{"NodeManagerAddress": "192.0.2.7"}])
    with pytest.raises(StorageError, match=r"listens beyond this machine, at 192\.0\.2\.7"):
        ray_cluster._refuse_open(open_to_all)


@pytest.mark.drill
def test_a_cluster_of_this_machine(tmp_path: Path) -> None:
    """One cluster for all, since starting it takes most of the time."""
    with Cluster().connected() as ray:
        one = Resources()
        items = [(str(tmp_path), number) for number in range(3)]
        assert side_by_side(Ray(), die_once, items, one) == [0, 10, 20]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0", "1-0", "1-1", "2-0"]
        heard: list[tuple] = []
        with pytest.raises(DataError) as raised:
            side_by_side(Ray(), refuse_or_go_on, [1, 0], one, lambda *words: heard.append(words))
        assert (raised.value.what, raised.value.hint) == ("A half holds 1 record.", "Add people.")
        assert listening() <= LOOPBACK
        assert ray.nodes()[0]["NodeManagerAddress"] == "127.0.0.1"
    assert not [each for each in psutil.Process().children(recursive=True) if "raylet" in each.name()]
