"""The whole search over a workspace: what it finds, what it declares, what it leaves alone, and when it passes."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from bench.erasure.planted import PERSON
from tests.unit.search.conftest import KEYS, PLANTED, RECORDS, shard, strangers
from tmu.certificate.checked import accepted_unread
from tmu.data.digest import md5_file
from tmu.data.info import shard_path
from tmu.data.shards import ShardTable, write_shard
from tmu.errors import ConfigError, RequestError
from tmu.files import sha256_file, write_json
from tmu.search import inventory as inventories
from tmu.search.declared import Declared
from tmu.search.needles import Needles, of_keys
from tmu.search.report import By, Hit, Learned, Outcome, SearchReport
from tmu.search.run import Task
from tmu.search.search import search
from tmu.search.sought import Given, needles_of, secrets_of
from tmu.settings import Settings
from tmu.workspace import Workspace

Searched = Callable[..., SearchReport]
KEY = KEYS.subject(PERSON)


def cached(workspace: Workspace, planted: ShardTable) -> str:
    """Put a shard with the person into DVC's cache, as the one of an older revision; returns the revision's digest."""
    path = workspace.root / "shard"
    write_shard(path, planted)
    return listed(workspace, {"shards/00.parquet": _into_cache(workspace, path)})


def listed(workspace: Workspace, files: dict[str, str]) -> str:
    entries = [{"md5": md5, "relpath": name} for name, md5 in files.items()]
    path = workspace.root / "listing"
    path.write_text(json.dumps(entries))
    return _into_cache(workspace, path, ".dir")


def _into_cache(workspace: Workspace, path: Path, suffix: str = "") -> str:
    md5 = md5_file(path)
    target = workspace.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / f"{md5[2:]}{suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    return f"{md5}{suffix}"


def model(workspace: Workspace, name: str, stage: str, data: str, **more: object) -> tuple[str, str]:
    """An artifact of one layer; returns (weights, the manifest's digest)."""
    folder = workspace.root / ".tmu" / "artifacts" / "model" / name
    folder.mkdir(parents=True)
    tensors = {"conv.weight": np.full((2, 3), abs(hash(name)) % 1000, np.float32)}
    (folder / "weights.safetensors").write_bytes(save(tensors))
    weights = sha256_file(folder / "weights.safetensors")
    identity = {"stage": stage, "data": data, "forget": None, **more}
    write_json(
        folder / "manifest.json", {"kind": "model", "identity": identity, "files": {"weights.safetensors": weights}}
    )
    return weights, sha256_file(folder / "manifest.json")


def forget_set(workspace: Workspace, name: str, records: list[str]) -> str:
    folder = workspace.root / ".tmu" / "artifacts" / "forget" / name
    folder.mkdir(parents=True)
    write_json(folder / "forget.json", {"records": records})
    files = {"forget.json": sha256_file(folder / "forget.json")}
    write_json(folder / "manifest.json", {"kind": "forget", "identity": {"stage": "forget"}, "files": files})
    return sha256_file(folder / "manifest.json")


def test_a_workspace_that_never_had_the_person_passes(searched: Searched) -> None:
    report = searched()
    assert (report.outcome, report.hits, report.not_looked_at) == (Outcome.PASS, (), ())
    assert {each.name: each.things for each in report.haystacks}["data"] == 2


@pytest.mark.parametrize(
    ("path", "haystack"),
    [
        ("data/shards/note.txt", "data"),
        (".dvc/cache/files/md5/ab/cdef", "DVC cache"),
        (".tmu/dvc-site/repo/x", "DVC site cache"),
        (".tmu/artifacts/forget/x/forget.json", "artifact store"),
        (".tmu/cache/model/x/y", "artifact cache"),
        (".tmu/mlartifacts/e/r/artifacts/a.txt", "MLflow artifacts"),
        (".tmu/requests/x.json", "journal"),
        (".tmu/purges/x.json", "purge records"),
        (".tmu/index/x.arrow", "index cache"),
        (".tmu/snapshots/x", "training leftovers"),
        (".tmu/references/x/00.safetensors", "training leftovers"),
        (".tmu/revisions/x/shards/00.parquet", "unpacked revisions"),
        ("out/audit/report.html", "stage folders"),
        ("deep/in/a/folder/nobody/knows", "workspace"),
        (".hidden", "workspace"),
    ],
)
def test_a_key_anywhere_in_the_workspace_is_found_by_its_place(
    workspace: Workspace, searched: Searched, path: str, haystack: str
) -> None:
    target = workspace.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"x" * 13 + bytes.fromhex(KEY))
    report = searched()
    assert report.outcome is Outcome.FAILED
    assert [(hit.haystack, hit.address, hit.by) for hit in report.left] == [(haystack, path, By.KEY)]


def test_a_key_in_a_name_is_found_and_the_report_does_not_repeat_it(workspace: Workspace, searched: Searched) -> None:
    (workspace.root / KEY).mkdir()
    (workspace.root / KEY / f"{PERSON}.txt").write_text("")
    report = searched()
    assert {(hit.address, hit.inside, hit.by) for hit in report.left} == {
        ("KEY/ID.txt", "name", By.KEY),
        ("KEY/ID.txt", "name", By.ID),
    }
    assert KEY not in json.dumps(report.as_json())
    assert PERSON not in json.dumps(report.as_json())


def test_a_link_is_read_where_it_points(workspace: Workspace, searched: Searched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(KEY)
    (workspace.root / "link").symlink_to(tmp_path / "elsewhere")
    assert [hit.address for hit in searched().left] == ["link"]


def test_a_folder_that_is_linked_elsewhere_is_entered_once(
    workspace: Workspace, searched: Searched, tmp_path: Path
) -> None:
    """Also where it links back, and from there to a third one."""
    for name in ("elsewhere/deep", "third"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(KEY)
    (tmp_path / "elsewhere" / "back").symlink_to(workspace.root)
    (tmp_path / "elsewhere" / "on").symlink_to(tmp_path / "third")
    for name in ("linked", "again"):
        (workspace.root / name).symlink_to(tmp_path / "elsewhere")
    report = searched()
    found = sorted(hit.address.partition("/")[2] for hit in report.left)
    assert (found, report.not_looked_at) == (["deep/file", "on/file"], ())


def test_a_link_to_a_folder_around_the_workspace_is_not_entered_and_is_said(
    workspace: Workspace, searched: Searched
) -> None:
    (workspace.root / "around").symlink_to(workspace.root.parent)
    report = searched()
    assert (report.outcome, report.not_looked_at[0].address) == (Outcome.UNKNOWN, "around")
    assert searched(rules=(Declared(what="around", why="nothing is there"),)).outcome is Outcome.PASS


def test_what_cannot_be_read_leaves_it_unknown(workspace: Workspace, searched: Searched) -> None:
    (workspace.root / "broken.gz").write_bytes(b"\x1f\x8b\x08\0 this was cut")
    report = searched()
    assert (report.outcome, [each.address for each in report.not_looked_at]) == (Outcome.UNKNOWN, ["broken.gz"])


def test_a_file_that_fails_in_a_way_that_nobody_thought_of_is_no_pass(
    workspace: Workspace, searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tmu.search.look.parts", fail)
    report = searched()
    assert report.outcome is Outcome.UNKNOWN
    assert len(report.not_looked_at) == sum(1 for path in workspace.root.rglob("*") if path.is_file())


def test_temporary_folders_are_searched_by_name_and_owner(temporary: Path, searched: Searched) -> None:
    (temporary / "tmpab12cd34" / "model").mkdir(parents=True)
    (temporary / "tmpab12cd34" / "model" / "x").write_text(KEY)
    (temporary / "somebody-elses.txt").write_text(KEY)
    assert [(hit.haystack, Path(hit.address).name) for hit in searched().left] == [("temporary folders", "x")]


def test_a_remote_in_a_folder_a_moved_cache_and_named_folders_are_searched(
    workspace: Workspace, searched: Searched, tmp_path: Path
) -> None:
    for name in ("remote", "cache", "backup"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(KEY)
    (workspace.root / ".dvc").mkdir()
    (workspace.root / ".dvc" / "config").write_text(
        f"['remote \"storage\"']\n    url = ../../remote\n[cache]\n    dir = {tmp_path / 'cache'}\n"
    )
    found = {hit.haystack for hit in searched(also=(tmp_path / "backup",)).left}
    assert found == {"DVC remote", "DVC cache", "named by the verifier"}
    assert searched(also=(tmp_path / "absent",)).not_looked_at[0].why == "there is no such folder"


def test_records_and_pictures_of_a_person_are_derived_from_the_shards(
    workspace: Workspace, planted_shard: ShardTable
) -> None:
    """The verifier names the person alone; keys of records and pictures in other places are found all the same."""
    cached(workspace, planted_shard)
    (workspace.root / "out").mkdir()
    Image.fromarray(PLANTED[5]).resize((40, 40)).save(workspace.root / "out" / "a.jpg")
    (workspace.root / "out" / "records").write_text(KEYS.record(RECORDS[0]))
    report, _ = search(workspace, Task(needles_of(workspace, Given(subjects=(PERSON,)))))
    assert {(hit.address, hit.by) for hit in report.left if hit.address.startswith("out")} == {
        ("out/a.jpg", By.NEAR),
        ("out/records", By.KEY),
    }
    assert (report.needles.keys, report.needles.pictures) == (12, 10)


def test_a_picture_of_two_is_found_by_either(workspace: Workspace) -> None:
    two = shard(["a"], ["anna"], PLANTED[:1], more_rows=np.array([0], np.int32), more_subjects=_of(PERSON))
    write_shard(shard_path(workspace.data, 1), two)
    report, _ = search(workspace, Task(needles_of(workspace, Given(subjects=(PERSON,)))))
    assert By.PIXELS in {hit.by for hit in report.left}


def _of(person: str) -> np.ndarray:
    from tmu.data.keys import from_hex

    return from_hex([KEYS.subject(person)])


def test_the_tombstone_of_the_live_shard_is_declared_and_that_of_another_is_not(
    workspace: Workspace, searched: Searched
) -> None:
    erased = {"erased": tuple(sorted(map(KEYS.record, RECORDS))), "erased_subjects": (KEY,)}
    live = shard_path(workspace.data, 1)
    write_shard(live, shard(["v"], ["vera"], strangers(1), **erased))
    shutil.copyfile(live, workspace.root / "copy")
    report = searched()
    assert (report.outcome, {hit.address for hit in report.declared}) == (
        Outcome.PASS,
        {"copy", "data/shards/01.parquet"},
    )
    write_shard(workspace.root / "older", shard(["w"], ["wim"], strangers(1), **erased))
    assert [hit.address for hit in searched().left] == ["older"]


def test_a_rule_declares_what_it_names_and_nothing_else(workspace: Workspace, searched: Searched) -> None:
    for name in ("kept/a", "kept/b", "other"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).write_text(KEY)
    rule = Declared(what="kept/a", why="a hold", until="2030-01-01")
    report = searched(rules=(rule,))
    assert [(hit.address, hit.until) for hit in report.declared] == [("kept/a", "2030-01-01")]
    assert {hit.address for hit in report.left} == {"kept/b", "other"}
    folder = rule.model_copy(update={"what": "kept/"})
    assert {hit.address for hit in searched(rules=(folder,)).left} == {"other"}


def test_the_suppression_list_is_declared_for_keys_alone(workspace: Workspace, searched: Searched) -> None:
    folder = workspace.root / ".tmu" / "suppression"
    folder.mkdir()
    (folder / "tombstones.jsonl").write_text(json.dumps({"key": KEY}))
    assert searched().outcome is Outcome.PASS
    (folder / "tombstones.jsonl").write_text(json.dumps({"key": PERSON}))
    assert searched().outcome is Outcome.FAILED


def test_a_suppression_list_elsewhere_is_searched_and_declared(
    workspace: Workspace, needles: Needles, tmp_path: Path
) -> None:
    (tmp_path / "marks").mkdir()
    (tmp_path / "marks" / "a").write_text(KEY)
    elsewhere = Workspace(workspace.root, Settings(suppression=tmp_path / "marks"))
    report, _ = search(elsewhere, Task(needles))
    assert (report.outcome, [hit.haystack for hit in report.declared]) == (Outcome.PASS, ["suppression list"])


def test_looking_changes_nothing(workspace: Workspace, planted_shard: ShardTable, searched: Searched) -> None:
    import sqlite3

    cached(workspace, planted_shard)
    with sqlite3.connect(workspace.root / ".tmu" / "ledger.db") as database:
        database.execute("CREATE TABLE a (b)")
    database.close()

    def state() -> dict[str, tuple[int, ...]]:
        stats = {path: path.lstat() for path in workspace.root.rglob("*")}
        return {str(path): (each.st_mtime_ns, each.st_ctime_ns, each.st_size) for path, each in stats.items()}

    before = state()
    searched()
    assert state() == before


def test_each_model_is_named_with_what_it_learned(
    workspace: Workspace, planted_shard: ShardTable, temporary: Path, searched: Searched
) -> None:
    held = cached(workspace, planted_shard)
    without = listed(workspace, {"shards/00.parquet": _into_cache(workspace, _copy_of_live(workspace))})
    forgets = forget_set(workspace, "all", sorted(map(KEYS.record, RECORDS)))
    partly = forget_set(workspace, "some", sorted(map(KEYS.record, RECORDS[:5])))
    original, _ = model(workspace, "original", "original", held)
    expected = {
        original: Learned.YES,
        model(workspace, "before", "original", without)[0]: Learned.NO,
        model(workspace, "gold", "gold", held, forget=forgets)[0]: Learned.NO,
        model(workspace, "gold of another", "gold", held, forget=partly)[0]: Learned.YES,
        model(workspace, "unlearned", "unlearned", held, forget=forgets, original=original)[0]: Learned.UNLEARNED,
        model(workspace, "half", "unlearned", held, forget=partly, original=original)[0]: Learned.YES,
        model(workspace, "lost", "original", "0" * 32 + ".dir")[0]: Learned.UNTELLABLE,
    }
    copy = temporary / "tmpxx11yy22"
    copy.mkdir()
    shutil.copyfile(workspace.root / ".tmu/artifacts/model/original/weights.safetensors", copy / "renamed.bin")
    (copy / "stray.pt").write_bytes(b"no manifest speaks of it")
    report = searched()
    told = {each.weights: each for each in report.models}
    assert {weights: told[weights].learned for weights in expected} == expected
    assert str(copy / "renamed.bin") in told[original].names
    assert told[sha256_file(copy / "stray.pt")].learned is Learned.UNTELLABLE
    assert len(told) == len(expected) + 1
    assert {each.weights for each in report.knowing} == {key for key, value in expected.items() if value is Learned.YES}


def test_a_start_is_outside_of_every_deletion_and_a_file_of_an_adopted_model_learned_what_that_did(
    workspace: Workspace, planted_shard: ShardTable, searched: Searched
) -> None:
    """Both files are the user's, in the workspace; a model that was trained here is no start, whoever says so."""
    own, theirs = (workspace.root / f"{name}.safetensors" for name in ("start", "theirs"))
    for number, path in enumerate((own, theirs)):
        path.write_bytes(save({"conv.weight": np.full((2, 3), number, np.float32)}))
    start = sha256_file(own)
    assert {each.weights: each.why for each in searched().models}[start] == ""  # nothing is known of it
    kept = workspace.root / ".tmu" / "artifacts" / "start" / start
    kept.mkdir(parents=True)
    shutil.copyfile(own, kept / "weights.safetensors")
    claim = {"kind": "start", "identity": {"stage": "start", "sha256": start}, "files": {"weights.safetensors": start}}
    write_json(kept / "manifest.json", claim)
    held = cached(workspace, planted_shard)
    adopted, _ = model(workspace, "adopted", "original", held, adopted={"sha256": sha256_file(theirs)})
    trained, _ = model(workspace, "trained", "original", held)
    claim["files"] = {"weights.safetensors": start, "trained.safetensors": trained}
    write_json(kept / "manifest.json", claim)
    told = {each.weights: each for each in searched().models}
    assert told[start].learned is Learned.UNTELLABLE and "no deletion reaches" in told[start].why
    assert {told[each].learned for each in (adopted, sha256_file(theirs), trained)} == {Learned.YES}
    assert not any(told[each].why for each in (adopted, sha256_file(theirs), trained))


def _copy_of_live(workspace: Workspace) -> Path:
    path = workspace.root / "copy"
    shutil.copyfile(shard_path(workspace.data, 0), path)
    return path


def test_a_model_that_knows_fails_the_search_unless_a_rule_keeps_it(
    workspace: Workspace, planted_shard: ShardTable, needles: Needles
) -> None:
    held = cached(workspace, planted_shard)
    weights, _ = model(workspace, "original", "original", held)
    _, inventory = search(workspace, Task(needles))
    shutil.rmtree(workspace.root / ".dvc")
    report, _ = search(workspace, Task(needles, before=inventory))
    assert (report.outcome, [each.weights for each in report.knowing]) == (Outcome.FAILED, [weights])
    rule = Declared(what=weights, why="kept for a dispute", until="2027-01-01")
    report, _ = search(workspace, Task(needles, before=inventory, rules=(rule,)))
    assert (report.outcome, report.models[0].until) == (Outcome.PASS, "2027-01-01")
    assert search(workspace, Task(needles))[0].outcome is Outcome.UNKNOWN  # nobody tells any more what it learned


def test_the_inventory_finds_after_the_purge_what_only_the_shards_told(
    workspace: Workspace, planted_shard: ShardTable, tmp_path: Path
) -> None:
    cached(workspace, planted_shard)
    _, inventory = search(workspace, Task(needles_of(workspace, Given(subjects=(PERSON,)))))
    inventories.save(inventory, tmp_path / "inventory.json")
    shutil.rmtree(workspace.root / ".dvc")
    Image.fromarray(PLANTED[1]).resize((48, 48)).save(workspace.root / "left.png")
    report, _ = search(workspace, Task(Needles(), before=inventories.load(tmp_path / "inventory.json")))
    assert [(hit.address, hit.by) for hit in report.left] == [("left.png", By.NEAR)]
    (workspace.root / "left.png").unlink()
    assert search(workspace, Task(Needles(), before=inventory))[0].outcome is Outcome.PASS


def test_an_inventory_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    inventories.save(inventories.Inventory(taken="", needles=Needles()), path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="other accounts"):
        inventories.load(path)


def test_nothing_sought_is_no_pass(workspace: Workspace, photos: Path) -> None:
    assert search(workspace, Task(Needles()))[0].outcome is Outcome.UNKNOWN
    with pytest.raises(RequestError):
        needles_of(workspace, Given())
    for each in photos.iterdir():
        each.write_text("no picture")
    with pytest.raises(RequestError, match="no picture"):
        needles_of(workspace, Given(pictures=photos))


def test_keys_of_every_version_of_the_secret_are_sought(workspace: Workspace, searched: Searched) -> None:
    from tmu.data.keys import Keys

    (workspace.root / ".tmu" / "hash.key.1").write_bytes(b"older" * 8)
    assert len(secrets_of(workspace)) == 2
    older = Keys(b"older" * 8).subject(PERSON)
    (workspace.root / "x").write_text(older)
    report, _ = search(workspace, Task(needles_of(workspace, Given(subjects=(PERSON,)))))
    assert (report.needles.key_versions, [hit.address for hit in report.left]) == (2, ["x"])


def test_without_the_secret_nothing_is_claimed(workspace: Workspace) -> None:
    (workspace.root / ".tmu" / "hash.key").unlink()
    with pytest.raises(ConfigError, match="secret"):
        needles_of(workspace, Given(subjects=(PERSON,)))


def test_hits_are_counted_by_haystack(workspace: Workspace, searched: Searched) -> None:
    (workspace.root / "x").write_text(KEY)
    told = searched().as_json()
    assert (told["outcome"], told["hits_by_haystack"]["workspace"], told["hits_by_haystack"]["data"]) == (
        "FAILED",
        1,
        0,
    )
    hit = Hit(haystack="a", address="b", by=By.KEY, needles=1)
    assert SearchReport.model_validate({name: told[name] for name in SearchReport.model_fields}).left != (hit,)


def test_of_keys_alone() -> None:
    assert of_keys([KEY, KEY], [], 1).counted().keys == 1


def test_copies_that_a_killed_search_left_behind_go_and_those_of_a_living_one_stay(
    workspace: Workspace, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    dead, living = (
        temporary / f".{workspace.scratch_name}-search.building-{pid}-abc" for pid in (4194000, os.getpid())
    )
    for folder in (dead, living):
        folder.mkdir()
        (folder / "copy-0").write_text(KEY)
    search(workspace, Task(Needles(subjects=(KEY,))))
    assert list(temporary.iterdir()) == [living]  # this search's own is gone, too


@pytest.mark.parametrize(
    ("server", "outcome"), [("ceph", Outcome.PASS), ("moto", Outcome.FAILED), (None, Outcome.FAILED)]
)
def test_the_disk_of_the_s3_store_is_named_and_not_taken_for_a_file(
    workspace: Workspace, needles: Needles, server: str | None, outcome: Outcome
) -> None:
    """Its free blocks hold what was destroyed. The name alone hides nothing: there must be such a store."""
    disk = workspace.root / ".tmu" / "stack" / "ceph" / "osd" / "block"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(b"x" + KEYS.subject(PERSON).encode())
    found = search(Workspace(workspace.root, Settings(s3_server=server)), Task(needles))[0]
    assert found.outcome is outcome
    if outcome is Outcome.PASS:
        (named,) = accepted_unread(found)
        assert "until the store writes over them" in named.what and "wipe the disk" in named.restore
        (disk.parent / "other").write_bytes(disk.read_bytes())
        assert search(Workspace(workspace.root, Settings(s3_server=server)), Task(needles))[0].outcome is Outcome.FAILED
