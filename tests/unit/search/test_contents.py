"""Whatever form a content has, what is planted in it is found; and what is not there is not."""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.numpy import save

from bench.erasure.planted import PERSON
from tests.unit.search.conftest import KEYS, PLANTED, RECORDS, by, shard, strangers
from tmu.config import Config
from tmu.data.decoded import Decoding
from tmu.data.importer import import_records
from tmu.data.readers import Reader
from tmu.data.records import Record
from tmu.data.shards import ShardTable, write_shard
from tmu.data.store import RecordStore
from tmu.files import sha256_file
from tmu.search import sparse
from tmu.search.look import Looker, Seen, Thing
from tmu.search.needles import Needles
from tmu.search.report import By

KEY = KEYS.subject(PERSON)
RECORD = KEYS.record(RECORDS[3])
Look = Callable[[bytes], Seen]
FILLER = b"nothing of anybody " * 5000


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def parquet(**columns: list) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="gzip", write_statistics=False)
    return out.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


@pytest.mark.parametrize(
    "form",
    [
        KEY.encode(),
        KEY.upper().encode(),
        bytes.fromhex(RECORD),
        base64.b64encode(bytes.fromhex(KEY)),
        np.array([KEYS_64 := int.from_bytes(bytes.fromhex(RECORD)[:8], "big", signed=True)], "<i8").tobytes(),
        json.dumps({"key64": KEYS_64}).encode(),
    ],
    ids=["digits", "capitals", "bytes", "base64", "number in a tensor", "number in JSON"],
)
@pytest.mark.parametrize("where", [0, 7, 1 << 24], ids=["first", "odd place", "between two chunks"])
def test_a_key_is_found_in_every_form(look: Look, form: bytes, where: int) -> None:
    before = b" " * max(0, where - len(form) // 2)
    assert by(look(before + form + b" end")) == {By.KEY}


@pytest.mark.parametrize("key", [KEYS.subject("somebody-else"), KEY[:30] + "00"])
def test_another_key_is_not(look: Look, key: str) -> None:
    assert not look(FILLER + key.encode() + bytes.fromhex(key)).found


@pytest.mark.parametrize(
    "text", [PERSON, f'{{"who": "{PERSON}"}}', f"x={PERSON}&", PERSON.encode("utf-16-le").decode("latin-1")]
)
def test_an_id_is_found(look: Look, text: str) -> None:
    assert by(look(text.encode("latin-1"))) == {By.ID}


def test_an_id_within_a_longer_word_is_another_id(look: Look) -> None:
    assert not look(f"{PERSON}2 and un{PERSON}".encode()).found


def test_an_id_among_cells_of_a_page_is_found_whatever_stands_beside_it(look: Look) -> None:
    assert by(look(b"\0\x01\x17" + PERSON.encode() + b"2024" + b"\0\0")) == {By.ID}


def test_the_encoded_bytes_are_found_whole_and_inside_others(look: Look, photos: Path) -> None:
    content = (photos / "4.png").read_bytes()
    assert By.FILE in by(look(content))
    assert By.FILE in by(look(FILLER + content + FILLER))
    assert By.FILE not in by(look(FILLER + content[:-20]))


def test_the_digest_of_the_encoded_bytes_is_found_in_a_listing(look: Look, photos: Path) -> None:
    content = (photos / "4.png").read_bytes()
    listing = json.dumps([{"md5": hashlib.md5(content).hexdigest(), "relpath": "4"}])
    assert by(look(listing.encode())) == {By.FILE}


def test_raw_pixels_are_found_and_half_of_them_are_not(look: Look) -> None:
    assert by(look(FILLER + PLANTED[2].tobytes() + FILLER)) == {By.PIXELS}
    assert not look(FILLER + PLANTED[2].tobytes()[:-16] + FILLER).found


@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image.resize((32, 32), Image.Resampling.BICUBIC),
        lambda image: image.resize((24, 24), Image.Resampling.BILINEAR),
        lambda image: image.resize((8, 8), Image.Resampling.BOX),
        lambda image: image.convert("RGB").resize((64, 64)),
        lambda image: image.point(lambda value: int(value * 0.8)),
    ],
    ids=["twice", "half as much again", "half", "colour, four times", "darker"],
)
def test_a_changed_copy_is_found(look: Look, changed: Callable[[Image.Image], Image.Image]) -> None:
    for picture in PLANTED:
        assert by(look(png(np.asarray(changed(Image.fromarray(picture)))))) == {By.NEAR}


@pytest.mark.parametrize("quality", [90, 50, 30])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_re_encoded_copy_is_found(look: Look, kind: str, quality: int) -> None:
    out = io.BytesIO()
    Image.fromarray(PLANTED[0]).save(out, kind, quality=quality)
    assert by(look(out.getvalue())) & {By.NEAR, By.PIXELS}


def test_pictures_of_others_are_not(look: Look) -> None:
    for picture in strangers(200):
        assert not look(png(picture)).found
    assert not look(png(np.full((16, 16), 128, np.uint8))).found


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped("a.txt", data)])
def test_a_key_in_compressed_bytes_is_found(look: Look, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(FILLER + KEY.encode() + FILLER)
    assert KEY.encode() not in packed
    assert by(look(packed)) == {By.KEY}
    assert by(look(gzip.compress(packed))) == {By.KEY}
    assert not look(pack(FILLER)).found


def test_a_key_in_the_name_of_a_member_is_found(look: Look) -> None:
    assert by(look(zipped(f"{KEY}.txt", b"x"))) == {By.KEY}


def test_a_compressed_column_is_read(look: Look) -> None:
    cells = [f"row {number} of nobody in particular" for number in range(3000)]
    content = parquet(text=[*cells, f"somebody {KEY}", *cells])
    assert KEY.encode() not in content
    assert by(look(content)) == {By.KEY}
    assert not look(parquet(text=cells)).found
    assert By.PIXELS in by(look(parquet(file=[png(PLANTED[1])])))


def test_pictures_in_arrays_are_found(look: Look) -> None:
    stack = np.stack([*strangers(3), PLANTED[6]])
    assert By.PIXELS in by(look(npz(images=stack)))
    assert By.PIXELS in by(look(save({"images": stack[:, None].copy()})))
    assert By.PIXELS in by(look(npz(images=stack.astype(np.float32) / 255)))
    standardised = ((stack[:, None] - 120.0) / 60.0).astype(np.float32)
    assert by(look(save({"standardised": standardised}))) & {By.NEAR, By.PIXELS}
    assert not look(npz(images=stack[:3])).found
    assert look(save({"empty": np.zeros((0, 4), np.float32)})).unread == ()


def test_pictures_that_were_decoded_for_training_are_found(needles: Needles, tmp_path: Path) -> None:
    """One by its pixels, and one like it; in a file as `tmu.data.decoded` writes it."""
    alike = np.clip(PLANTED[6].astype(np.int16) + 2, 0, 255).astype(np.uint8)
    for picture, ways in ((PLANTED[6], {By.PIXELS}), (alike, {By.NEAR})):
        folder = tmp_path / str(len(ways)) / picture.tobytes()[:4].hex()
        import_records(Few([*strangers(3), picture]), folder / "data", KEYS, n_buckets=1)
        store = RecordStore.open(folder / "data", decoding=Decoding(folder / "decoded", 0))
        store.decoded(np.arange(4))
        (path,) = (folder / "decoded").glob("*.npy")
        looker = Looker(needles, tmp_path, store.info.shape)
        assert by(looker.look(Thing("workspace", path.name, path))) >= ways
    import_records(Few(strangers(4)), tmp_path / "others", KEYS, n_buckets=1)
    store = RecordStore.open(tmp_path / "others", decoding=Decoding(tmp_path / "none", 0))
    store.decoded(np.arange(4))
    (path,) = (tmp_path / "none").glob("*.npy")
    assert not Looker(needles, tmp_path, store.info.shape).look(Thing("workspace", path.name, path)).found


class Few(Reader):
    """Grey pictures (H, W) of two classes, each of a person of its own."""

    name, simulated, Options = "few", True, Config

    def __init__(self, pictures: list[np.ndarray]):
        super().__init__(Config())
        self._pictures = pictures

    def classes(self) -> list[str]:
        return ["even", "odd"]

    def shape(self) -> tuple[int, int, int]:
        return (1, *self._pictures[0].shape)

    def records(self) -> Iterator[Record]:
        for number, picture in enumerate(self._pictures):
            yield Record(f"r{number}", None, number % 2, picture[None], split="train")


def test_a_picture_in_a_page_is_found(look: Look) -> None:
    page = b"<html>" + FILLER + b'<img src="data:image/png;base64,' + base64.b64encode(png(PLANTED[8])) + b'"></html>'
    assert By.PIXELS in by(look(page))


def test_the_rows_of_a_shard_and_its_tombstones_are_told_apart(
    look: Look, tmp_path: Path, planted_shard: ShardTable
) -> None:
    write_shard(tmp_path / "there.parquet", planted_shard)
    found = look((tmp_path / "there.parquet").read_bytes())
    assert by(found) == {By.KEY, By.PIXELS}
    assert not any(mark for *_, mark in found.found)
    erased = {"erased": tuple(sorted(map(KEYS.record, RECORDS))), "erased_subjects": (KEY,)}
    write_shard(tmp_path / "erased.parquet", shard(["x"], ["anna"], strangers(1), **erased))
    found = look((tmp_path / "erased.parquet").read_bytes())
    assert by(found) == {By.KEY}
    assert all(mark for *_, mark in found.found)


def test_all_cells_of_sqlite_are_read_and_so_is_a_freed_page(needles: Needles, tmp_path: Path) -> None:
    path, looker = tmp_path / "a.db", Looker(needles, tmp_path)
    packed = gzip.compress(KEY.encode())
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE notes (id INTEGER, body)")
        database.executemany("INSERT INTO notes VALUES (?, ?)", [(n, f"note {n} {'.' * 300}") for n in range(300)])
        database.execute("INSERT INTO notes VALUES (1000, ?)", (packed,))
    inside = {each[0] for each in looker.look(Thing("test", "a.db", path)).found}
    assert inside == {"table notes, column body: unpacked"}

    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM notes WHERE id = 1000")
        database.execute("INSERT INTO notes VALUES (1001, ?)", (f"{KEY}{'-' * 20000}",))
        database.execute("DELETE FROM notes WHERE id = 1001")
        assert not database.execute(f"SELECT * FROM notes WHERE body LIKE '{KEY}%'").fetchall()
    seen = looker.look(Thing("test", "a.db", path))
    assert [(inside, how) for inside, how, *_ in seen.found] == [("", By.KEY)]

    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("VACUUM")
    assert not looker.look(Thing("test", "a.db", path)).found


def test_a_row_that_is_in_the_write_ahead_log_alone_is_found_and_the_file_is_left_alone(
    needles: Needles, tmp_path: Path
) -> None:
    path, looker = tmp_path / "a.db", Looker(needles, tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE notes (body)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("INSERT INTO notes VALUES (?)", (KEY,))
        assert KEY.encode() not in path.read_bytes()
        before = (path.read_bytes(), Path(f"{path}-wal").read_bytes())
        assert by(looker.look(Thing("test", "a.db", path))) == {By.KEY}
        assert by(looker.look(Thing("test", "a.db-wal", Path(f"{path}-wal")))) == {By.KEY}
        assert (path.read_bytes(), Path(f"{path}-wal").read_bytes()) == before


def test_what_cannot_be_opened_is_said(look: Look) -> None:
    encrypted = bytearray(zipped("a", b"x" * 100))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    for content in (gzip.compress(FILLER)[:-30], b"7z\xbc\xaf" + FILLER, bytes(encrypted), b"PAR1" + FILLER):
        assert look(content).unread


def test_names_and_keys_go_from_addresses(needles: Needles, tmp_path: Path) -> None:
    looker = Looker(needles, tmp_path)
    assert looker.redacted(f"a/{KEY}/{PERSON}.json") == "a/KEY/ID.json"
    assert looker.named(f"a/{KEY}.json") == {By.KEY: frozenset({needles.forms[0].who})}


def test_of_a_file_with_holes_all_that_was_written_is_read_and_nothing_else(needles: Needles, tmp_path: Path) -> None:
    key, size = KEYS.subject(PERSON).encode(), 1 << 33
    for place in (0, 5 << 20, (1 << 32) + 4090, size - len(key)):
        path = tmp_path / f"holes-{place}"
        with path.open("wb") as file:
            file.truncate(size)
            file.seek(place)
            file.write(key)
        assert 512 * path.stat().st_blocks < 1 << 20, "this file system keeps no holes"
        began = time.process_time()
        seen = Looker(needles, tmp_path).look(Thing("test", "holes", path))
        assert [(by, len(who)) for _, by, who, _ in seen.found] == [(By.KEY, 1)]
        assert seen.size < 1 << 23 and time.process_time() - began < 2
        path.unlink()


def test_a_large_file_without_holes_is_read_as_one_where_no_blocks_are_counted(
    needles: Needles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.onnx"
    path.write_bytes(b"\x08\x07x" * (23 << 20) + KEYS.subject(PERSON).encode())
    real = os.fstat

    def uncounted(
        handle: int,
    ) -> SimpleNamespace:  # as many FUSE file systems say
        return SimpleNamespace(st_size=real(handle).st_size, st_blocks=0)

    monkeypatch.setattr(sparse.os, "fstat", uncounted)
    seen = Looker(needles, tmp_path).look(Thing("test", "weights.onnx", path))
    assert seen.sha256 == sha256_file(path), "a manifest names the model by it"
    with path.open("rb") as file:
        file.read(4)
        assert sparse.pieces(file) == [(0, path.stat().st_size)]
        file.seek(0)
        assert hashlib.file_digest(file, "sha256").hexdigest() == seen.sha256
    assert [by for _, by, _, _ in seen.found] == [By.KEY]
