"""`tmu keys`: dry by default; after a rotation people are found, the erased stay erased, open requests forbid it."""

from pathlib import Path

import pytest

from tests.cli_tools import bad, good, names
from tmu.cli.selection import all_known, select
from tmu.data.info import read_info
from tmu.data.store import RecordStore
from tmu.errors import RequestError
from tmu.ledger.place import opened
from tmu.ledger.schema import requests
from tmu.steps.import_data import import_data
from tmu.steps.store_keys import keys_of
from tmu.workspace import Workspace


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Eight pictures of four people in two classes."""
    import numpy as np
    from PIL import Image

    folder, rows = tmp_path / "photos", ["path,label,subject,split"]
    folder.mkdir()
    for number in range(24):
        image = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(image).save(folder / f"{number}.png")
        split = ("train", "holdout", "test")[number // 8]
        rows.append(f"{number}.png,{'ab'[number % 2]},person-{number % 4},{split}")
    (tmp_path / "who.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def place(tmp_path: Path, pictures: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "w")
    again(workspace, pictures, replace=False)
    return Workspace.open(workspace.root)


def again(workspace: Workspace, pictures: Path, replace: bool = True) -> int:
    """Import; how many were left out as erased."""
    options = {"root": str(pictures), "subjects": str(pictures.parent / "who.csv"), "size": "8"}
    return import_data(workspace, "image-folder", options, replace=replace, n_buckets=4)[1].skipped_erased


def test_rotation_is_dry_by_default_and_then_adds_a_version(place: Workspace) -> None:
    before = place.key_file.read_bytes()
    assert good(place.root, "keys", "rotate")["rotated"] is False
    assert place.key_file.read_bytes() == before
    assert good(place.root, "keys", "rotate", "--yes")["version"] == 2
    rows = good(place.root, "keys", "list")
    assert [(row["version"], row["current"], row["data"]) for row in rows] == [(1, False, True), (2, True, False)]
    assert before.hex() not in str(rows)
    assert ".tmu/hash.key" in names(place.root)


def test_data_stay_under_their_secret_until_they_are_imported_again(place: Workspace, pictures: Path) -> None:
    first = read_info(place.data).key_id
    good(place.root, "keys", "rotate", "--yes")
    assert keys_of(place, read_info(place.data)).id == first
    assert good(place.root, "data", "show", "--subject", "person-1")[0]["state"] == "known"
    again(place, pictures)
    assert read_info(place.data).key_id == place.key_ring.current.id != first
    assert good(place.root, "data", "show", "--subject", "person-1")[0]["state"] == "known"


def test_a_look_before_a_deletion_knows_real_people_and_plans_the_same_after_a_rotation(place: Workspace) -> None:
    looks = []
    for rotate in ((), ("--yes",)):
        good(place.root, "keys", "rotate", *rotate)
        for verb in (("plan",), ("delete", "--dry-run"), ("data", "erase", "--dry-run")):
            looks.append(good(place.root, *verb, "--subject", "person-1"))
    assert {look["records_digest"] for look in looks} == {looks[0]["records_digest"]}
    assert {look["n_records"] for look in looks} == {6}
    assert len({look["hash"] for look in looks if "hash" in look}) == 1
    place.key_file.unlink()
    assert str(place.key_file) in bad(place.root, "plan", "--subject", "person-1", code=2)
    assert not place.key_file.exists()


def test_who_was_erased_before_a_rotation_stays_erased_and_is_known_as_such(place: Workspace, pictures: Path) -> None:
    good(place.root, "data", "erase", "--subject", "person-2", "--yes")
    good(place.root, "keys", "rotate", "--yes")
    assert again(place, pictures) == 6
    assert good(place.root, "data", "show", "--subject", "person-2")[0]["state"] == "erased"
    assert "erased before" in bad(place.root, "delete", "--subject", "person-2", "--dry-run", code=3)
    rows = good(place.root, "keys", "list")
    assert [row["deletions"] for row in rows] == [1, 0]


def test_the_tombstones_alone_keep_the_erased_out_after_a_rotation(place: Workspace, pictures: Path) -> None:
    import shutil

    good(place.root, "data", "erase", "--subject", "person-2", "--yes")
    good(place.root, "keys", "rotate", "--yes")
    shutil.rmtree(place.data)
    (place.root / "data.dvc").unlink()
    assert again(place, pictures, replace=False) == 6


def test_open_requests_and_holds_forbid_another_secret(place: Workspace, pictures: Path) -> None:
    good(place.root, "request", "receive", "--subject", "person-1", "--id", "case-1")
    with opened(place) as ledger, ledger.read() as connection:
        assert connection.scalar(requests.select().with_only_columns(requests.c.key_id)) == place.key_ring.current.id
    good(place.root, "keys", "rotate", "--yes")
    with pytest.raises(RequestError, match="are open"):
        again(place, pictures)
    good(place.root, "request", "cancel", "case-1", "--reason", "withdrawn")
    held = good(place.root, "request", "hold", "--subject", "person-3", "--reason", "court file 1")
    with pytest.raises(RequestError, match="legal holds name people"):
        again(place, pictures)
    good(place.root, "request", "release", held["hold"], "--reason", "closed")
    again(place, pictures)


def test_the_same_id_under_another_secret_is_no_repetition(place: Workspace, pictures: Path) -> None:
    good(place.root, "request", "receive", "--subject", "person-1", "--id", "case-1")
    good(place.root, "request", "cancel", "case-1", "--reason", "withdrawn")
    good(place.root, "keys", "rotate", "--yes")
    again(place, pictures)
    line = bad(place.root, "request", "receive", "--subject", "person-1", "--id", "case-1", code=3)
    assert "former secret" in line


def test_all_who_are_named_are_looked_up_under_every_secret(place: Workspace, pictures: Path) -> None:
    good(place.root, "data", "erase", "--subject", "person-2", "--yes")
    for _ in range(2):
        good(place.root, "keys", "rotate", "--yes")
    again(place, pictures)
    store = RecordStore.open(place.data)
    with pytest.raises(RequestError, match="erased before"):
        all_known(store.index(), select(place, store.info, ["person-2"], [], None))
    assert all_known(store.index(), select(place, store.info, ["person-1"], [], None))
