"""The table on disk: written and read back, compact where there are many classes; a damaged file is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tmu.data.keys import KEY_DTYPE, key64
from tmu.errors import StorageError
from tmu.references.rows import FLOOR, ReferenceRows
from tmu.references.shards import Outputs, ShardRows, join, pack, read_shard, write_rows

N, NETS = 40, 6


def _logp(classes: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (4 * torch.randn(N, NETS, classes, generator=generator)).log_softmax(2)


def _shard(classes: int = 10, keep: int = 16, inner: bool = True, nets: int = NETS) -> ShardRows:
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(0, classes, (N,), generator=generator, dtype=torch.int32)
    return ShardRows(
        record_keys=torch.randint(0, 256, (N, 16), generator=generator, dtype=torch.uint8),
        labels=labels,
        splits=torch.randint(0, 3, (N,), generator=generator, dtype=torch.int8),
        seen=torch.rand(N, nets, generator=generator) < 0.5,
        logp=pack(_logp(classes, 1), labels, keep),
        inner=pack(_logp(classes, 2), labels, keep) if inner else None,
    )


def _same(first: ReferenceRows, second: ReferenceRows) -> bool:
    names = ("keys", "labels", "seen", "logp", "inner")
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in names)


@pytest.mark.parametrize(("classes", "keep"), [(10, 16), (32, 16), (33, 16), (100, 8)])
def test_a_shard_is_read_as_it_was_written(tmp_path: Path, classes: int, keep: int) -> None:
    shard = _shard(classes, keep)
    write_rows(tmp_path / "00.safetensors", shard)
    back = read_shard(tmp_path / "00.safetensors")
    assert torch.equal(back.record_keys, shard.record_keys)
    assert torch.equal(back.splits, shard.splits)
    assert _same(back.rows(classes), shard.rows(classes))
    assert (back.logp.classes is None) == (classes <= 2 * keep)


def test_the_bytes_depend_on_the_rows_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_rows(tmp_path / name, _shard())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("nets", [2, 6, 8, 9, 16])
def test_any_number_of_networks_has_its_bits(tmp_path: Path, nets: int) -> None:
    shard = _shard(nets=nets)
    write_rows(tmp_path / "s", shard)
    assert torch.equal(read_shard(tmp_path / "s").seen, shard.seen)


def test_keys_are_the_data_stores_64_bits() -> None:
    shard = _shard()
    keys = np.frombuffer(shard.record_keys.numpy().tobytes(), KEY_DTYPE)
    assert shard.keys64().tolist() == key64(keys).tolist()


def test_few_classes_lose_float16s_rounding_alone() -> None:
    logp = _logp(10, 1)
    kept = pack(logp, torch.zeros(N, dtype=torch.int32), 16).dense(10)
    assert torch.allclose(kept, logp.clamp_min(FLOOR), atol=0.01)


def test_of_many_classes_the_true_one_and_the_likeliest_are_kept_and_the_rest_is_spread_evenly() -> None:
    classes, keep = 100, 8
    logp, labels = _logp(classes, 1), torch.arange(N, dtype=torch.int32)
    outputs = pack(logp, labels, keep)
    dense = outputs.dense(classes)
    assert outputs.values.shape == (N, NETS, keep + 1)
    assert (outputs.classes == labels[:, None]).any(1).all()
    likeliest = logp.exp().mean(1).argmax(1)
    assert (outputs.classes == likeliest[:, None]).any(1).all()
    at = outputs.classes.long()[:, None].expand(-1, NETS, -1)
    assert torch.allclose(dense.gather(2, at), logp.gather(2, at).clamp_min(FLOOR), atol=0.01)
    assert torch.allclose(dense.exp().sum(2), torch.ones(N, NETS), atol=0.01)
    others = torch.ones(N, NETS, classes, dtype=torch.bool).scatter(2, at, False)
    rest = dense[others].reshape(N, NETS, -1)
    assert (rest == rest[:, :, :1]).all()


def test_a_shard_without_some_records_is_the_others(tmp_path: Path) -> None:
    shard = _shard()
    gone = torch.arange(N) % 5 == 0
    left = shard.without(shard.record_keys[gone])
    assert torch.equal(left.record_keys, shard.record_keys[~gone])
    assert _same(left.rows(10), shard.rows(10).take(~gone))
    write_rows(tmp_path / "empty", left.without(left.record_keys))
    assert len(read_shard(tmp_path / "empty").rows(10)) == 0


def test_shards_are_joined_in_their_order() -> None:
    rows = _shard().rows(10)
    halves = [rows.take(torch.arange(20)), rows.take(torch.arange(20, N))]
    assert _same(join(halves, NETS, 10), rows)
    assert join([], NETS, 10).logp.shape == (0, NETS, 10)


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_an_unreadable_shard_is_refused_by_its_name(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "0a.safetensors"
    write_rows(path, _shard())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(StorageError, match=r"0a\.safetensors"):
        read_shard(path)


def test_outputs_are_never_below_the_floor() -> None:
    assert float(Outputs(torch.full((1, 1, 2), -60.0).half()).dense(2).min()) == FLOOR
