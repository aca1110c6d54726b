"""Kept JPEGs: found in shards by bytes, pixels and likeness, and led from to copies elsewhere."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.photographs import photograph, scene
from tests.unit.search.conftest import KEYS, PERSON, by
from tmu.data.cells import Cells
from tmu.data.info import read_info, shard_path, write_info
from tmu.data.jpeg import decoded, stripped
from tmu.data.keys import from_hex
from tmu.data.shards import StoredShard, write_shard
from tmu.search.look import Looker, Thing
from tmu.search.report import By
from tmu.search.run import Task
from tmu.search.search import search
from tmu.search.sought import Given, needles_of
from tmu.workspace import Workspace

SHAPE = (3, 32, 32)
PHOTO, OTHER = photograph(scene(1)), photograph(scene(2))
PLAIN = decoded(stripped(photograph(scene(3))), SHAPE)


def mixed(records: list[str], subjects: list[str], cells: list[bytes]) -> StoredShard:
    keys = np.concatenate([from_hex([KEYS.record(each)]) for each in records])
    people = np.concatenate([from_hex([KEYS.subject(each)]) for each in subjects])
    order = np.argsort(keys)
    codes = np.zeros(len(keys), np.int8)
    return StoredShard(
        bucket=0, record_keys=keys[order], subject_keys=people[order], labels=codes.astype(np.int32), splits=codes,
        cells=Cells.of_mixed([cells[place] for place in order], SHAPE),
    )  # fmt: skip


@pytest.fixture
def photographed(workspace: Workspace) -> Workspace:
    """Of the person, a kept JPEG and one picture in pixels; of Anna, a JPEG."""
    shutil.rmtree(workspace.data / "shards")
    write_info(workspace.data, read_info(workspace.data).model_copy(update={"shape": SHAPE}))
    cells = [stripped(PHOTO), PLAIN.tobytes(), stripped(OTHER)]
    path = shard_path(workspace.data, 0)
    path.parent.mkdir()
    write_shard(path, mixed(["a", "b", "c"], [PERSON, PERSON, "anna"], cells))
    return workspace


def resized(content: np.ndarray | bytes) -> bytes:
    image = (
        Image.open(io.BytesIO(content)) if isinstance(content, bytes) else Image.fromarray(np.moveaxis(content, 0, 2))
    )
    out = io.BytesIO()
    image.resize((48, 48), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("copy", "found"),
    [
        (PHOTO, {By.FILE, By.PIXELS}),
        (resized(PHOTO), {By.NEAR}),
        (np.ascontiguousarray(np.moveaxis(PLAIN, 0, 2)), {By.PIXELS}),
        (resized(PLAIN), {By.NEAR}),
        (photograph(scene(8)), set()),
    ],
    ids=["the file with its metadata", "resized", "pixels", "pixels resized", "of nobody"],
)
def test_a_shard_is_found_by_the_verifiers_pictures(photographed: Workspace, tmp_path: Path, copy, found) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    if isinstance(copy, bytes):
        (photos / "a").write_bytes(copy)
    else:
        Image.fromarray(copy).save(photos / "a.png")
    looker = Looker(needles_of(photographed, Given(pictures=photos)), tmp_path, SHAPE)
    seen = looker.look(Thing("test", "shard", shard_path(photographed.data, 0)))
    assert by(seen) == found


def test_the_shards_lead_to_copies_elsewhere(photographed: Workspace) -> None:
    out = photographed.root / "out"
    out.mkdir()
    bare = stripped(PHOTO)
    assert bare is not None
    (out / "bytes").write_bytes(b"in the middle" + bare + b"of others")
    (out / "near.png").write_bytes(resized(PLAIN))
    (out / "anna").write_bytes(stripped(OTHER) or b"")
    report, _ = search(photographed, Task(needles_of(photographed, Given(subjects=(PERSON,)))))
    assert {(hit.address, hit.by) for hit in report.left if hit.address.startswith("out")} == {
        ("out/bytes", By.FILE),
        ("out/bytes", By.PIXELS),
        ("out/near.png", By.NEAR),
    }
    assert {hit.by for hit in report.left if hit.address.endswith(".parquet")} >= {By.KEY, By.FILE, By.PIXELS}
