import numpy as np
import pyarrow.parquet as pq
import pytest

from tmu.data.keys import from_hex, to_hex
from tmu.data.shards import ShardTable, read_facts, read_keys, read_shard, write_shard
from tmu.errors import DataError


def shard(n: int = 50, **changes: object) -> ShardTable:
    stream = np.random.default_rng(3)
    fields = {
        "bucket": 5,
        "record_keys": np.sort(stream.integers(0, 256, (n, 16), np.uint8).view("S16")[:, 0]),
        "subject_keys": stream.integers(0, 256, (n, 16), np.uint8).view("S16")[:, 0],
        "labels": stream.integers(0, 10, n).astype(np.int32),
        "splits": stream.integers(0, 3, n).astype(np.int8),
        "images": stream.integers(0, 256, (n, 48), np.uint8),
        "erased": ("00" * 16,),
        "erased_subjects": ("11" * 16,),
    }
    return ShardTable(**(fields | changes))


def same(one: ShardTable, two: ShardTable) -> bool:
    return all(np.array_equal(value, vars(two)[name]) for name, value in vars(one).items())


@pytest.mark.parametrize("n", [0, 1, 50])
def test_round_trip(tmp_path, n):
    write_shard(tmp_path / "05.parquet", shard(n))
    assert same(read_shard(tmp_path / "05.parquet"), shard(n))
    keys = read_keys(tmp_path / "05.parquet")
    assert to_hex(keys.record_keys) == to_hex(shard(n).record_keys)
    assert keys.erased == ("00" * 16,)
    facts = read_facts(tmp_path / "05.parquet")
    assert (facts.bucket, facts.image_bytes, facts.keys_digest) == (5, 48, keys.keys_digest())


def test_same_records_same_bytes(tmp_path):
    write_shard(tmp_path / "a", shard())
    write_shard(tmp_path / "b", shard())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_key_columns_carry_no_statistics(tmp_path):
    write_shard(tmp_path / "a", shard())
    group = pq.read_metadata(tmp_path / "a").row_group(0)
    assert all(group.column(column).statistics is None for column in range(group.num_columns))


def test_zero_bytes_in_keys_survive(tmp_path):
    keys = from_hex(["00" * 16, "00" * 15 + "01", "0001" + "00" * 14])
    write_shard(tmp_path / "a", shard(3, record_keys=keys))
    assert to_hex(read_shard(tmp_path / "a").record_keys) == to_hex(keys)


@pytest.mark.parametrize("cut", [0, 3, 100, -1])
def test_truncated_shard_is_named(tmp_path, cut):
    path = tmp_path / "05.parquet"
    write_shard(path, shard())
    path.write_bytes(path.read_bytes()[:cut])
    for read in (read_shard, read_keys, read_facts):
        with pytest.raises(DataError, match=r"05\.parquet .* `dvc checkout`"):
            read(path)


def test_every_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "05.parquet"
    write_shard(path, shard(20))
    whole = path.read_bytes()
    unnoticed = []
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            if not same(read_shard(path), shard(20)):
                unnoticed.append(position)
        except DataError:
            pass
    assert unnoticed == []


def test_missing_and_foreign_shards(tmp_path):
    import pyarrow as pa

    with pytest.raises(DataError, match="missing"):
        read_shard(tmp_path / "05.parquet")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "05.parquet")
    with pytest.raises(DataError, match="changed"):
        read_shard(tmp_path / "05.parquet")


def test_rewriting_leaves_a_hard_link_alone(tmp_path):
    import os

    write_shard(tmp_path / "a", shard())
    os.link(tmp_path / "a", tmp_path / "b")
    was = (tmp_path / "b").read_bytes()
    write_shard(tmp_path / "a", shard(10))
    assert (tmp_path / "b").read_bytes() == was
