import dataclasses
import errno
import json
import os
import resource
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from tmu.data.class_names import refuse_names
from tmu.data.erase import erase
from tmu.data.importer import import_records
from tmu.data.info import SplitRule, buckets_for, read_info
from tmu.data.keys import Keys
from tmu.data.readers import Reader, get_reader
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, DataError, StorageError
from tmu.files import canonical_json


class Changed:
    """A reader with one record changed, or with other records appended."""

    def __init__(self, inner, position=None, extra=(), **changes):
        self.inner, self.position, self.extra, self.changes = inner, position, extra, changes

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def records(self):
        for number, record in enumerate(self.inner.records()):
            yield dataclasses.replace(record, **self.changes) if number == self.position else record
        yield from self.extra


def test_every_record_comes_back_as_it_was(make_store, made, keys):
    store = make_store()
    expected = {keys.record(record.id): record for record in made().records()}
    seen = 0
    for split in ("train", "holdout", "test"):
        arrays = store.load(split)
        assert arrays.keys == sorted(arrays.keys)
        seen += len(arrays)
        for key, image, label in zip(arrays.keys, arrays.images, arrays.labels, strict=True):
            np.testing.assert_array_equal(image, expected[key].image)
            assert label == expected[key].label
    assert seen == len(expected) == 120


def test_no_raw_id_is_stored(make_store, tmp_path):
    make_store()
    content = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert b"person-" not in content and b"r117" not in content


def test_two_imports_give_the_same_bytes(make_store):
    assert make_store("one").digest() == make_store("two").digest()


def test_store_json_is_canonical_and_without_counts(make_store, tmp_path, keys):
    make_store()
    info = read_info(tmp_path / "data")
    assert (tmp_path / "data" / "store.json").read_bytes() == canonical_json(info.model_dump(mode="json")) + b"\n"
    assert info.key_id == keys.id and info.dataset == "made" and info.shape == (1, 4, 4)
    assert "120" not in (tmp_path / "data" / "store.json").read_text().replace(keys.id, "")


def test_splits_follow_the_rule_and_the_reader(make_store, made):
    counts = {split: sum(classes.values()) for split, classes in make_store(reader=made(2000)).counts().items()}
    assert abs(counts["train"] / 2000 - 0.5) < 0.05 and abs(counts["test"] / 2000 - 0.25) < 0.04
    given = Changed(made(2000), 7, split="test")
    key = Keys(b"a secret for tests only, 32 byte").record("r7")
    for reader, expected in ((given, True), (Changed(made(2000), 7, split="train"), False)):
        store = make_store("given", reader=reader, replace=True)
        assert (key in store.load("test").keys) == expected


def test_progress_ends_at_the_total(tmp_path, made, keys):
    calls = []
    import_records(made(1500), tmp_path / "d", keys, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 1500), (1000, 1500), (1500, 1500)]


def bad_readers(made):
    good = list(made().records())
    lone = [dataclasses.replace(record, split="test") for record in good if record.label == 2]
    others = [record for record in good if record.label != 2]

    class Untrained(Changed):
        def records(self):
            yield from others + lone

    class OneLabel(Changed):
        def records(self):
            yield from (record for record in good if record.label == 1)

    return {
        "fewer than two classes": made(n_classes=1),
        "all of one class": OneLabel(made()),
        "Class `class-2` has no training record": Untrained(made()),
        "Record 120 has the id of an earlier record": Changed(made(), extra=[good[5]]),
        "Record 3 is float32": Changed(made(), 3, image=np.zeros((1, 4, 4), np.float32)),
        r"Record 4 is uint8 \(1, 4, 5\)": Changed(made(), 4, image=np.zeros((1, 4, 5), np.uint8)),
        "Record 5 has label 3": Changed(made(), 5, label=3),
        "Record 6 has label -1": Changed(made(), 6, label=-1),
        "Record 8 has an unknown split": Changed(made(), 8, split="valid"),
    }


def test_bad_records_are_refused_and_leave_nothing(tmp_path, made, keys):
    for message, reader in bad_readers(made).items():
        with pytest.raises(DataError, match=message):
            import_records(reader, tmp_path / "data", keys, n_buckets=4)
        assert list(tmp_path.iterdir()) == [], message


def test_a_copy_under_another_subject_is_a_duplicate_too(tmp_path, made, keys):
    copy = dataclasses.replace(next(made().records()), subject="someone else")
    with pytest.raises(DataError, match="Record 120 has the id"):
        import_records(Changed(made(), extra=[copy]), tmp_path / "data", keys, n_buckets=64)


@pytest.mark.parametrize(
    "options", [{"holdout": 0.6, "test": 0.4}, {"n_buckets": 0}, {"n_buckets": 257}, {"test": -0.1}]
)
def test_bad_options(tmp_path, made, keys, options):
    with pytest.raises(ConfigError):
        import_records(made(), tmp_path / "data", keys, **options)


def test_an_existing_store_or_folder_is_not_overwritten(make_store, made, tmp_path, keys):
    digest = make_store().digest()
    with pytest.raises(DataError, match="already"):
        import_records(made(60), tmp_path / "data", keys)
    assert RecordStore.open(tmp_path / "data").digest() == digest
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("x")
    with pytest.raises(DataError, match="not a store"):
        import_records(made(), tmp_path / "mine", keys, replace=True)


def test_what_was_erased_does_not_come_back(make_store, made, tmp_path, keys):
    store = make_store()
    everyone = store.index()
    person = everyone.keys_at(everyone.find_subject(keys.subject("person-3")))
    one = [keys.record("r4")]
    erase(tmp_path / "data", tmp_path / "next", person + one)
    report = import_records(made(), tmp_path / "next", keys, n_buckets=8, replace=True)
    assert (report.records, report.skipped_erased) == (113, 7)
    again = RecordStore.open(tmp_path / "next").index()
    assert again.find_records(person + one)[1] == sorted(person + one)
    assert again.is_erased(one[0]) and again.is_erased_subject(keys.subject("person-3"))
    # a new record of a person who was erased is that person still
    newcomer = dataclasses.replace(next(made().records()), id="new", subject="person-3")
    report = import_records(Changed(made(), extra=[newcomer]), tmp_path / "next", keys, n_buckets=8, replace=True)
    assert report.skipped_erased == 8


@pytest.mark.parametrize("change", [{"n_buckets": 4}, {"secret": b"another secret of 32 bytes or so"}])
def test_tombstones_that_could_not_be_matched_stop_a_replacement(make_store, made, tmp_path, keys, change):
    make_store()
    erase(tmp_path / "data", tmp_path / "next", [keys.record("r4")])
    other = Keys(change["secret"]) if "secret" in change else keys
    with pytest.raises(DataError, match="stay erased"):
        import_records(made(), tmp_path / "next", other, n_buckets=change.get("n_buckets", 8), replace=True)


def test_memory_is_bounded_by_a_bucket(tmp_path, made, keys):
    """50,000 records of 3 kB would be 147 MiB; a bucket of 64 is 2.4 MiB."""

    class Plain(made):
        def records(self):
            images = np.random.default_rng(0).integers(0, 256, (16, *self.form), np.uint8)
            from tmu.data.records import Record

            for number in range(self.n):
                yield Record(f"r{number}", None, number % 2, images[number % 16])

    tracemalloc.start()
    try:
        import_records(Plain(50_000, n_classes=2, form=(3, 32, 32)), tmp_path / "d", keys, n_buckets=64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * 2**20, f"{peak / 2**20:.0f} MiB"


_LARGE = """
import json, sys, tracemalloc
from pathlib import Path
import pyarrow as pa
from bench.larger_than_memory.verbs import Coarse
from tmu.data import contents
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
root = Path(sys.argv[1])
reader, work = Coarse(300, 224), []
tracemalloc.start()
for step in (lambda: import_records(reader, root / "data", Keys(DEMO_SECRET), n_buckets=1),
             lambda: contents.note(root / "data", root / "contents")):
    tracemalloc.reset_peak()
    step()
    work.append(tracemalloc.get_traced_memory()[1] + pa.default_memory_pool().max_memory())
print(json.dumps(work))
"""


def test_a_shard_of_large_pictures_is_held_in_memory_once(tmp_path):
    """43 MiB in one shard: spilled, sorted, written in pages and read again, it is copied once."""
    done = subprocess.run([sys.executable, "-c", _LARGE, str(tmp_path)], capture_output=True, text=True, check=True)
    shard = 300 * 3 * 224 * 224
    written, noted = json.loads(done.stdout)
    assert shard < written < 2.2 * shard  # what does not grow with it is in here, too
    assert shard < noted < 2.5 * shard  # some pictures are looked at beside it


def test_full_disk_changes_nothing(make_store, made, tmp_path, keys):
    """The operating system refuses to let a file grow: the same path as a full disk."""
    digest = make_store().digest()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(StorageError, match="limit"):
            import_records(made(3000), tmp_path / "data", keys, replace=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert RecordStore.open(tmp_path / "data").digest() == digest
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_refusal_of_the_disk_at_the_last_step(make_store, made, tmp_path, keys, monkeypatch, number):
    digest = make_store().digest()
    real = os.replace

    def refuse(source, target):
        if str(target).endswith(".parquet"):
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError):
        import_records(made(60), tmp_path / "data", keys, replace=True)
    monkeypatch.undo()
    assert RecordStore.open(tmp_path / "data").digest() == digest
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_room_is_light():
    """Opening a store must not cost an import of torch, and no service may be known here."""
    code = (
        "import sys, tmu.data.importer, tmu.data.erase, tmu.data.readers as r; r.known_readers();"
        "print([m for m in ('torch', 'sklearn', 'prefect', 'mlflow', 'dvc', 'boto3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("records", "pixels", "buckets"),
    [(None, 150_528, 64), (1_000, 3_072, 64), (40_000, 150_528, 90), (10**6, 150_528, 256), (10**9, 150_528, 256)],
)
def test_larger_pictures_make_more_shards(records, pixels, buckets):
    assert buckets_for(records, pixels) == buckets


def test_a_tenth_is_held_out_unless_the_reader_knows_better(tmp_path, made, keys):
    class Plain(made):
        split_rule = Reader.split_rule

    splits = import_records(Plain(1000), tmp_path / "plain", keys, n_buckets=1).splits
    assert [round(splits[name]["records"] / 1000, 1) for name in ("train", "holdout", "test")] == [0.8, 0.1, 0.1]
    import_records(get_reader("digits"), tmp_path / "digits", keys, n_buckets=1)
    assert read_info(tmp_path / "digits").split_rule == SplitRule(holdout=0.25, test=0.25)


def test_an_import_that_replaces_splits_as_the_store_before(tmp_path, made, keys):
    first = {"holdout": 0.3, "test": 0.2, "split_seed": 5, "split_by": "subject"}
    import_records(made(), tmp_path / "d", keys, **first)
    splits = RecordStore.open(tmp_path / "d").index().splits
    import_records(made(), tmp_path / "d", keys, replace=True)
    assert (RecordStore.open(tmp_path / "d").index().splits == splits).all()
    import_records(made(), tmp_path / "d", keys, replace=True, test=0.4)
    assert read_info(tmp_path / "d").split_rule == SplitRule(holdout=0.3, test=0.4, seed=5, by="subject")


def test_the_number_of_shards_is_as_told_or_by_size(tmp_path, made, keys):
    import_records(made(), tmp_path / "told", keys, n_buckets=8)
    import_records(made(), tmp_path / "default", keys)
    assert [read_info(tmp_path / name).n_buckets for name in ("told", "default")] == [8, 64]


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "is empty"), ("a", "that of another"), ("x\x1b[31m", "control"), ("\udcff", "broken"), ("9" * 999, "200")],
)
def test_a_class_needs_a_name_of_its_own_on_one_line(name, said):
    refuse_names(["a", "b c", "é", "10"])
    with pytest.raises(DataError, match=f"^The name of class 3 of 3 .*{said}"):
        refuse_names(["a", "b", name])


def test_the_names_of_classes_are_checked_before_anything_is_written(made, keys, tmp_path):
    reader = made()
    reader.classes = lambda: ["a", "b\n"]
    with pytest.raises(DataError, match="class 2 of 2"):
        import_records(reader, tmp_path / "data", keys)
    assert not (tmp_path / "data").exists()
