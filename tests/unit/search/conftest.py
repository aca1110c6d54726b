"""A workspace without DVC and models, and a person: ten pictures, one id, eleven keys."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.erasure.planted import PERSON, planted_pictures
from tmu.data.info import SplitRule, StoreInfo, shard_path, write_info
from tmu.data.keys import Keys, from_hex
from tmu.data.shards import ShardTable, write_shard
from tmu.search.ground import Ground
from tmu.search.look import Looker, Seen, Thing
from tmu.search.needles import Needles
from tmu.search.report import By, SearchReport
from tmu.search.run import Task
from tmu.search.search import search
from tmu.search.sought import Given, needles_of
from tmu.settings import Settings
from tmu.workspace import Workspace

SECRET = bytes(range(32))
KEYS = Keys(SECRET)
RECORDS = [f"planted/picture-{number}.png" for number in range(10)]
PLANTED = planted_pictures()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only temporary folder of the search, and no Prefect of this machine."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tmu.search.haystacks.temporary.temporary_folders", lambda _: [folder])
    monkeypatch.setattr("tmu.search.haystacks.folders.SITE_CACHE", tmp_path / "site-cache")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """One shard with three records of other people; nobody has heard of the planted person."""
    root = tmp_path / "w"
    (root / ".tmu").mkdir(parents=True)
    (root / "params.yaml").write_text("{}")
    (root / ".tmu" / "hash.key").write_bytes(SECRET)
    made = Workspace(root, Settings())
    rule = SplitRule()
    info = StoreInfo(
        reader="image-folder", dataset="faces", shape=(1, 16, 16), classes=("a", "b"), n_buckets=4, key_id=KEYS.id,
        simulated=False, split_rule=rule,
    )  # fmt: skip
    (root / "data" / "shards").mkdir(parents=True)
    write_info(made.data, info)
    write_shard(shard_path(made.data, 0), shard(["x", "y", "z"], ["anna", "bert", "carla"], strangers(3)))
    return made


def strangers(number: int) -> list[np.ndarray]:
    """Pictures of others, uint8 (16, 16)."""
    generator = np.random.default_rng(5)
    rough = [Image.fromarray(generator.integers(0, 256, (4, 4), np.uint8)) for _ in range(number)]
    return [np.asarray(each.resize((16, 16), Image.Resampling.BICUBIC)) for each in rough]


def shard(records: list[str], subjects: list[str], images: list[np.ndarray], **more: object) -> ShardTable:
    """A shard of raw ids, all in the training set."""
    keys = np.concatenate([from_hex([KEYS.record(each)]) for each in records])
    found = np.concatenate([from_hex([KEYS.subject(each)]) for each in subjects])
    order = np.argsort(keys)
    flat = np.stack([each.reshape(-1) for each in images])
    return ShardTable(
        bucket=0, record_keys=keys[order], subject_keys=found[order], labels=np.zeros(len(keys), np.int32),
        splits=np.zeros(len(keys), np.int8), images=flat[order], **more,
    )  # fmt: skip


@pytest.fixture
def planted_shard() -> ShardTable:
    """The planted person's ten records, with one of a stranger."""
    return shard([*RECORDS, "x"], [PERSON] * 10 + ["anna"], [*PLANTED, *strangers(1)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The verifier's pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, picture in enumerate(PLANTED):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def given(photos: Path) -> Given:
    """What the verifier gives."""
    return Given(subjects=(PERSON,), records=tuple(RECORDS), pictures=photos)


@pytest.fixture
def needles(workspace: Workspace, given: Given) -> Needles:
    """What is looked for."""
    return needles_of(workspace, given)


@pytest.fixture
def look(needles: Needles, tmp_path: Path) -> Callable[[bytes], Seen]:
    """What a content holds."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    looker = Looker(needles, scratch, (1, 16, 16))

    def at(content: bytes) -> Seen:
        (tmp_path / "content").write_bytes(content)
        return looker.look(Thing("test", "content", tmp_path / "content"))

    return at


def by(seen: Seen) -> set[By]:
    """By what something was found."""
    return {each[1] for each in seen.found}


@pytest.fixture
def searched(workspace: Workspace, needles: Needles) -> Callable[..., SearchReport]:
    """The report of a search in the workspace; keyword arguments are the task's."""
    return lambda **task: search(workspace, Task(needles, **task))[0]


@pytest.fixture
def ground(workspace: Workspace, tmp_path: Path) -> Iterator[Ground]:
    """Where haystacks look."""
    folder = tmp_path / "ground"
    folder.mkdir()
    return Ground(workspace, folder)
