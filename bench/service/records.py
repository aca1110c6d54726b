"""A record store of any size in seconds: random keys instead of HMACs, images of one pixel.

For what depends on the number of records and people, not on pixels. A key is an HMAC, so that random bytes are as good.
"""

from pathlib import Path

import numpy as np

from tmu.data.info import SplitRule, StoreInfo, shard_path, write_info
from tmu.data.keys import KEY_BYTES, KEY_DTYPE, Keys, buckets_of, to_hex
from tmu.data.records import SPLITS
from tmu.data.shards import ShardTable, write_shard


def make_records(
    folder: Path, keys: Keys, records: int, people: int, *, classes: int = 10, buckets: int = 256, seed: int = 0
) -> list[str]:
    """Write a store of so many records, each of a random person, class and split; returns the people's subject keys.

    keys: under which the store says it was built. A person has records / people of them on average, some have none.
    """
    random = np.random.default_rng(seed)
    subjects = _random_keys(random, people)
    mine = subjects[random.integers(0, people, records)]
    all_keys, labels = _random_keys(random, records), random.integers(0, classes, records).astype(np.int32)
    splits = random.choice(len(SPLITS), records, p=_shares()).astype(np.int8)
    info = StoreInfo(
        reader="digits",
        dataset="digits",
        shape=(1, 1, 1),
        classes=tuple(f"class-{number}" for number in range(classes)),
        n_buckets=buckets,
        key_id=keys.id,
        simulated=True,
        split_rule=SplitRule(),
    )
    (folder / "shards").mkdir(parents=True)
    write_info(folder, info)
    bucket_of = buckets_of(mine, buckets)
    for bucket in range(buckets):
        rows = np.flatnonzero(bucket_of == bucket)
        rows = rows[np.argsort(all_keys[rows])]
        images = np.zeros((len(rows), 1), np.uint8)
        shard = ShardTable(
            bucket=bucket, record_keys=all_keys[rows], subject_keys=mine[rows], labels=labels[rows],
            splits=splits[rows], images=images,
        )  # fmt: skip
        write_shard(shard_path(folder, bucket), shard)
    return to_hex(subjects)


def _random_keys(random: np.random.Generator, count: int) -> np.ndarray:
    """Distinct keys (N,) of `S16`, none of which ends in a zero byte."""
    raw = random.integers(1, 256, (count, KEY_BYTES), np.uint8)
    return raw.reshape(-1).view(KEY_DTYPE)


def _shares() -> list[float]:
    return [{"train": 0.5, "holdout": 0.25, "test": 0.25}[split] for split in SPLITS]
