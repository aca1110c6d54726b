"""Raw ids become keys at the edge; files of ids and of keys; what is unknown is named by its place."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmu.cli.selection import Selection, all_known, keys_of, ordinal, select
from tmu.data.info import SplitRule, StoreInfo
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.errors import ConfigError, RequestError
from tmu.settings import Settings
from tmu.workspace import Workspace

KEYS = Keys(DEMO_SECRET)


def _info(simulated: bool = True, key_id: str = KEYS.id) -> StoreInfo:
    return StoreInfo(
        reader="digits",
        dataset="digits",
        shape=(1, 8, 8),
        classes=("0", "1"),
        key_id=key_id,
        simulated=simulated,
        split_rule=SplitRule(),
    )


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, Settings())


def test_options_and_files_give_keys_in_order(place: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "request.txt"
    file.write_text("# people\nbob\n\n")
    chosen = select(place, _info(), ["ann"], ["img-1"], str(file))
    assert chosen == Selection([KEYS.subject("ann"), KEYS.subject("bob")], [KEYS.record("img-1")])


def test_a_file_of_keys_is_taken_as_it_is(place: Workspace, tmp_path: Path) -> None:
    chosen = Selection([KEYS.subject("ann")], [KEYS.record("img-1")])
    (tmp_path / "request.json").write_text(json.dumps(chosen.as_json()))
    assert select(place, _info(), [], [], str(tmp_path / "request.json")) == chosen


@pytest.mark.parametrize("text", ['{"subject_keys": ["ann"]}', '{"record_keys": "img-1"}', '{"subject_keys": [7]}'])
def test_raw_ids_in_a_file_of_keys_are_refused_by_place(place: Workspace, tmp_path: Path, text: str) -> None:
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(RequestError, match=r"Key 1 of `(subject|record)_keys`") as caught:
        select(place, _info(), [], [], str(tmp_path / "request.json"))
    assert "ann" not in str(caught.value)


def test_a_missing_file_is_refused(place: Workspace) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        select(place, _info(), [], [], "nowhere.txt")


def test_a_missing_secret_is_not_made_anew(place: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not at"):
        keys_of(place, _info(simulated=False))
    assert not list(tmp_path.iterdir())


def test_another_secret_is_refused(place: Workspace) -> None:
    place.keys(simulated=False)
    with pytest.raises(ConfigError, match="not the one of this store"):
        keys_of(place, _info(simulated=False))


def _index(known: set[str] = frozenset(), erased: set[str] = frozenset()) -> SimpleNamespace:
    def find(key: str) -> list[int]:
        return [0] if key in known else []

    return SimpleNamespace(
        find_subject=find, find_record=find, is_erased=erased.__contains__, is_erased_subject=erased.__contains__
    )


def test_the_unknown_and_the_erased_are_named_by_place_and_key() -> None:
    with pytest.raises(RequestError, match=r"The 2nd subject of the request \(key b\) is unknown"):
        all_known(_index({"a"}), Selection(["a", "b"]))
    with pytest.raises(RequestError, match=r"The 1st record of the request \(key r\) was erased before"):
        all_known(_index({"a"}, {"r"}), Selection(["a"], ["r"]))
    assert [each.state for each in all_known(_index({"a", "r"}), Selection(["a"], ["r"]))] == ["known", "known"]


def test_an_empty_selection_is_refused() -> None:
    with pytest.raises(RequestError, match="no person"):
        all_known(_index(), Selection())


@given(st.integers(1, 10_000))
def test_ordinals_end_as_english_has_it(number: int) -> None:
    teen, last = number // 10 % 10 == 1, number % 10
    expected = "th" if teen or last not in (1, 2, 3) else {1: "st", 2: "nd", 3: "rd"}[last]
    assert ordinal(number) == f"{number}{expected}"
