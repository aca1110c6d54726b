import numpy as np
import pytest

from tmu.data.digest import manifest
from tmu.data.index import Index, prune
from tmu.data.info import shard_path
from tmu.data.keys import Keys, bucket_of, from_hex, to_hex
from tmu.data.shards import read_shard, write_shard
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, DataError


def test_load_without_and_only(make_store, keys):
    store = make_store()
    train = store.load("train")
    some = train.keys[::3]
    rest = store.load("train", without=some)
    picked = store.load("train", only=some)
    assert rest.keys == [key for key in train.keys if key not in some]
    assert picked.keys == some
    np.testing.assert_array_equal(picked.images, train.images[::3])
    np.testing.assert_array_equal(picked.key64, train.key64[::3])
    assert len(store.load("train", only=some, without=some)) == 0
    assert len(store.load("train", only=store.load("test").keys)) == 0
    assert train.images.dtype == np.uint8 and train.labels.dtype == np.int64 and train.key64.dtype == np.int64


def test_load_refuses_what_it_does_not_know(make_store, keys):
    store = make_store()
    with pytest.raises(ConfigError, match="no split `valid`"):
        store.load("valid")
    with pytest.raises(DataError, match="1 of the wanted records"):
        store.load("train", only=[keys.record("never seen")])
    assert len(store.load("train", without=[keys.record("never seen")])) == len(store.load("train"))


def test_wrong_key_is_caught(make_store, tmp_path):
    make_store()
    with pytest.raises(DataError, match="another secret"):
        RecordStore.open(tmp_path / "data", Keys(b"not the secret of this store"))


def test_no_store_and_broken_description(tmp_path, make_store):
    with pytest.raises(DataError, match="no record store"):
        RecordStore.open(tmp_path / "data")
    make_store()
    (tmp_path / "data" / "store.json").write_text('{"format": 2}')
    with pytest.raises(DataError, match="does not describe"):
        RecordStore.open(tmp_path / "data")


def test_counts_by_split_and_class(make_store):
    counts = make_store().counts()
    assert {name: sum(counts[split][name] for split in counts) for name in counts["train"]} == {
        "class-0": 40,
        "class-1": 40,
        "class-2": 40,
    }


def test_index_finds_records_and_subjects(make_store, keys):
    index = make_store().index()
    found = index.find_subject(keys.subject("person-7"))
    assert sorted(index.keys_at(found)) == sorted(keys.record(f"r{number}") for number in range(7, 120, 20))
    assert set(index.buckets[found]) == {bucket_of(keys.subject("person-7"), 8)}
    assert index.keys_at(index.find_record(keys.record("r9"))) == [keys.record("r9")]
    assert len(index.find_record(keys.record("x"))) == len(index.find_subject(keys.subject("x"))) == 0
    positions, unknown = index.find_records([keys.record("r9"), keys.record("x"), keys.record("r9")])
    assert len(positions) == 1 and unknown == [keys.record("x")]


def test_cached_index_equals_a_fresh_one_and_survives_damage(make_store, tmp_path):
    make_store()
    cache = tmp_path / "cache"
    fresh = Index.build(tmp_path / "data")
    for _ in range(2):  # first fills the cache, second reads it
        cached = Index.build(tmp_path / "data", cache)
        for name, value in vars(fresh).items():
            assert np.array_equal(getattr(cached, name), value), name
    part = next(cache.iterdir())
    for damaged in (b"", part.read_bytes()[:100], part.read_bytes()[:-600] + b"\1" * 600):
        part.write_bytes(damaged)
        assert np.array_equal(Index.build(tmp_path / "data", cache).record_keys, fresh.record_keys)


def test_cached_index_reads_no_untouched_shard_and_prune_forgets_the_rest(make_store, tmp_path, keys, monkeypatch):
    import tmu.data.index as module
    from tmu.data.erase import erase

    make_store()
    cache = tmp_path / "cache"
    Index.build(tmp_path / "data", cache)
    erasure = erase(tmp_path / "data", tmp_path / "next", [keys.record("r1")], cache=cache)
    read, real = [], module.read_keys
    monkeypatch.setattr(module, "read_keys", lambda path: read.append(path.name) or real(path))
    Index.build(tmp_path / "next", cache)
    assert read == [f"{bucket:02x}.parquet" for bucket in erasure.shards_touched]
    assert prune(cache, [tmp_path / "next"]) == 1
    Index.build(tmp_path / "next", cache)
    assert len(read) == 1


def test_index_of_many(tmp_path):
    """200,000 records: 10,000 look-ups are a matter of milliseconds, checked against a dictionary."""
    import time

    stream = np.random.default_rng(1)
    keys = np.sort(stream.integers(0, 256, (200_000, 16), np.uint8).view("S16")[:, 0])
    subjects = keys[stream.integers(0, 200_000, 200_000)]
    zeros = np.zeros(len(keys), np.int32)
    index = Index(keys, subjects, zeros, zeros.astype(np.int8), zeros, np.arange(len(keys)), frozenset(), frozenset())
    chosen = np.sort(stream.choice(200_000, 10_000, replace=False))
    wanted = to_hex(keys[chosen])
    start = time.perf_counter()
    positions, unknown = index.find_records(wanted)
    assert time.perf_counter() - start < 1
    assert np.array_equal(positions, chosen) and unknown == []
    person = to_hex(subjects[:1])[0]
    assert np.array_equal(index.find_subject(person), np.flatnonzero(subjects == from_hex([person])))


def test_verify_passes_and_counts_duplicates(make_store, made, tmp_path):
    report = make_store().verify()
    assert report["records"] == sum(report["records_by_split"].values()) == 120
    assert report["duplicate_images"] == report["images_in_several_splits"] == 0

    class Copies(made):
        def records(self):
            for number, record in enumerate(super().records()):
                record.image[:] = min(number, 117)  # the last three are one image
                yield type(record)(record.id, None, record.label, record.image, "test" if number == 119 else "train")

    report = make_store("copies", reader=Copies()).verify()
    assert report["duplicate_images"] == 2
    assert report["images_in_several_splits"] == 1 and report["records_with_image_in_another_split"] == 3


def largest(store):
    path = max((store.path / "shards").iterdir(), key=lambda path: path.stat().st_size)
    return path, read_shard(path)


BREAKS = {
    "bucket belongs": lambda shard: shard.rows(slice(None), bucket=(shard.bucket + 1) % 8),
    "another size": lambda shard: shard.rows(slice(None), images=shard.images[:, :8]),
    "label or split": lambda shard: shard.rows(slice(None), labels=shard.labels + 1),
    "out of order": lambda shard: shard.rows(slice(None, None, -1)),
    "record twice": lambda shard: shard.rows(np.r_[0, np.arange(len(shard.labels))]),
    "another bucket": lambda shard: shard.rows(slice(None), subject_keys=np.sort(shard.record_keys)),
    "holds an erased record": lambda shard: shard.rows(slice(None), erased=(to_hex(shard.record_keys[:1])[0],)),
    "erased subject": lambda shard: shard.rows(slice(None), erased_subjects=(to_hex(shard.subject_keys[:1])[0],)),
}


@pytest.mark.parametrize("message", BREAKS)
def test_verify_bites(make_store, message):
    store = make_store()
    path, shard = largest(store)
    write_shard(path, BREAKS[message](shard))
    with pytest.raises(DataError, match=message):
        RecordStore.open(store.path).verify()


def test_verify_finds_truncation_and_strangers(make_store):
    store = make_store()
    (store.path / "shards" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="1 files"):
        store.verify()
    (store.path / "shards" / "notes.txt").unlink()
    path, _ = largest(store)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=path.name):
        store.verify()


def test_a_store_that_changes_under_the_reader_is_noticed(make_store):
    store = make_store()
    store.index()
    path, shard = largest(store)
    write_shard(path, shard.rows(np.r_[np.arange(1, len(shard.labels)), 0]))
    with pytest.raises(DataError, match="changed while"):
        for split in ("train", "holdout", "test"):
            store.load(split)


def test_manifest_lists_the_store(make_store):
    store = make_store()
    files = manifest(store.path)
    assert list(files)[-1] == "store.json" and shard_path(store.path, 0).relative_to(store.path).as_posix() in files
    with pytest.raises(DataError, match="no folder"):
        manifest(store.path / "nothing")
