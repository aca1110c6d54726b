"""The hold-out records that a training is looked at with: drawn by key, without the forgotten, there to stop by."""

from pathlib import Path

import pytest

from tests.unit.data.conftest import SECRET, Made
from tmu.config import Params, TrainConfig
from tmu.data.importer import import_records
from tmu.data.keys import Keys
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import DataError
from tmu.steps.held_records import held_records
from tmu.steps.preflight import check_parameters

RECIPE = TrainConfig(holdout_records=30)


def _store(folder: Path, holdout: float) -> RecordStore:
    keys = Keys(SECRET)
    import_records(Made(n=400, people=40), folder, keys, n_buckets=8, holdout=holdout, test=0.2)
    return RecordStore.open(folder, keys)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> RecordStore:
    return _store(tmp_path_factory.mktemp("store") / "data", 0.3)


def _held(store: RecordStore) -> list[str]:
    index = store.index()
    return index.keys_at((index.splits == SPLITS.index("holdout")).nonzero()[0])


def test_without_some_the_others_are_the_same(store):
    first = set(held_records(store, RECIPE).keys.tolist())
    assert len(first) == 30 < len(_held(store))
    gone = frozenset(_held(store)[::4])
    second = held_records(store, RECIPE, gone)
    left = set(second.keys.tolist())
    every = RECIPE.model_copy(update={"holdout_records": 10**6})
    allowed = set(held_records(store, every, gone).keys.tolist())
    assert len(allowed) == len(_held(store)) - len(gone)
    assert left <= allowed
    assert first & allowed <= left
    assert len(left) == 30


def test_none_are_looked_at_where_none_are_asked_for(store):
    assert held_records(store, RECIPE.model_copy(update={"holdout_records": 0})) is None
    assert held_records(store, RECIPE, frozenset(_held(store))) is None


def test_a_recipe_that_stops_early_needs_a_hold_out(tmp_path, store):
    stopping, bare = TrainConfig(early_stop=2), _store(tmp_path / "data", 0.0)
    assert held_records(bare, RECIPE) is None
    for refused in (
        lambda: held_records(bare, stopping),
        lambda: held_records(store, stopping, frozenset(_held(store))),
        lambda: check_parameters(bare, Params(train=stopping), "retrain"),
    ):
        with pytest.raises(DataError, match="The dataset has no hold-out") as caught:
            refused()
        assert "Import with a hold-out" in caught.value.hint
    check_parameters(store, Params(train=stopping), "retrain")
