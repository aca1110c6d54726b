"""JPEGs in a store: kept as they came, without metadata; erased by bytes; found by who looks for them."""

import dataclasses
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.photographs import WORDS, photograph, photographs, scene
from tmu.data import cells, jpeg
from tmu.data.contents import Contents
from tmu.data.erase import erase
from tmu.data.importer import import_records
from tmu.data.info import read_info, shard_paths, write_info
from tmu.data.keys import Keys
from tmu.data.looks import looks
from tmu.data.pixel_digests import digests
from tmu.data.readers import get_reader
from tmu.data.shards import read_facts, read_shard, read_stored, write_shard
from tmu.data.store import RecordStore
from tmu.errors import DataError
from tmu.suppression.pictures import Pictures

HOW = {
    "plain": {},
    "progressive": {"progressive": True},
    "no subsampling": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 1},
    "optimised": {"optimize": True, "quality": 30},
}


def markers(data):
    """The kinds of all markers outside of the scans."""
    found, at = [], 2
    while data[at + 1] != 0xD9:
        found.append(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if found[-1] == 0xDA:
            while data[at] != 0xFF or data[at + 1] in (0, *range(0xD0, 0xD8)):
                at += 1
    return found


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_all_that_tells_of_people_goes_and_no_pixel_changes(mode, how):
    whole = photograph(scene(1, (40, 24)).convert(mode), **how)
    assert all(word in whole for word in WORDS if word != b"52.5163") and b"Exif" in whole
    bare = jpeg.stripped(whole)
    assert not [word for word in (*WORDS, b"Exif", b"ICC_PROFILE", b"Photoshop", b"xap") if word in bare]
    assert set(markers(bare)) <= {0xE0, 0xEE, 0xDB, 0xC0, 0xC1, 0xC2, 0xC4, 0xDD, 0xDA}
    before, after = (np.asarray(Image.open(io.BytesIO(each))) for each in (whole, bare))
    assert np.array_equal(before, after)
    assert jpeg.stripped(bare) == bare


def test_a_thumbnail_in_the_header_goes():
    thumb = b"Anna Roe" + bytes(184)
    head = b"\xff\xe0" + (16 + 192).to_bytes(2, "big") + b"JFIF\0\x01\x02\0\0\x01\0\x01\x08\x08" + thumb
    out = io.BytesIO()
    scene(2).save(out, "JPEG")
    plain = out.getvalue()
    assert b"Anna" not in jpeg.stripped(plain[:2] + head + plain[20:])


def test_the_colour_model_stays_known():
    out = io.BytesIO()
    scene(3).save(out, "JPEG", keep_rgb=True)
    whole = out.getvalue()
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(each))) for each in (whole, jpeg.stripped(whole))))


@pytest.mark.parametrize("cut", [0, 2, 3, 30, 200, -2, -40])
def test_what_is_no_whole_jpeg_is_not_kept(cut):
    bare = jpeg.stripped(photograph(scene(4)))
    assert jpeg.stripped(bare[:cut]) is None
    assert jpeg.stripped(b"\x89PNG" + bare) is None


@pytest.fixture
def photos(tmp_path):
    csv = photographs(tmp_path / "photos")
    return get_reader("image-folder", {"root": tmp_path / "photos", "subjects": csv})


@pytest.fixture
def kept(photos, tmp_path, keys):
    import_records(photos, tmp_path / "data", keys, n_buckets=4)
    return RecordStore.open(tmp_path / "data", keys)


def test_a_store_holds_the_jpegs_and_gives_their_pixels(kept, photos, keys):
    expected = {keys.record(record.id): record for record in photos}
    for path in shard_paths(kept.path):
        shard, decoded = read_stored(path), read_shard(path)
        assert shard.cells.kept == len(shard.record_keys) and read_facts(path).image_bytes == 3 * 32 * 32
        for key, cell, pixels in zip(
            shard.record_keys.tolist(), shard.cells.columns["image"].to_pylist(), decoded.images, strict=True
        ):
            record = expected[key.hex()]
            assert cell == record.kept == jpeg.stripped(record.kept)
            assert np.array_equal(pixels, record.image.reshape(-1))
    arrays = kept.load("train")
    assert all(
        np.array_equal(image, expected[key].image) for key, image in zip(arrays.keys, arrays.images, strict=True)
    )
    assert read_info(kept.path).decoder == jpeg.decoder()
    report = kept.verify()
    assert report["kept_jpegs"] == report["records"] == len(expected)


def test_nothing_of_the_metadata_is_in_the_store(kept):
    for path in shard_paths(kept.path):
        for cell in pq.read_table(path)["image"].to_pylist():
            assert not [word for word in (*WORDS, b"Exif") if word in cell]


def test_a_reader_that_leaves_metadata_in_is_refused_and_nothing_is_left(photos, tmp_path, keys):
    class Careless:
        def __getattr__(self, name):
            return getattr(photos, name)

        def records(self):
            for record in photos.records():
                bare = record.kept
                yield dataclasses.replace(record, kept=bare[:2] + b"\xff\xfe\0\x06Anna" + bare[2:])

    with pytest.raises(DataError, match="CSV line 2 is a JPEG with more in it"):
        import_records(Careless(), tmp_path / "data", keys)
    assert not (tmp_path / "data").exists()


def test_erasing_takes_the_bytes_and_leaves_the_others_as_they_were(kept, tmp_path, keys, monkeypatch):
    mine = kept.index().keys_at(kept.index().find_subject(keys.subject("person-1")))
    gone = {cell for path in shard_paths(kept.path) for cell in _cells(path, mine)}
    assert len(gone) == 3
    monkeypatch.setattr(jpeg, "decoded", lambda *given: pytest.fail("a picture was decoded"))
    erase(kept.path, tmp_path / "next", mine)
    monkeypatch.undo()
    left = {cell for path in shard_paths(tmp_path / "next") for cell in pq.read_table(path)["image"].to_pylist()}
    every = {cell for path in shard_paths(kept.path) for cell in pq.read_table(path)["image"].to_pylist()}
    assert left == every - gone
    assert RecordStore.open(tmp_path / "next", keys).verify()["erased"] == 3


def _cells(path, keys):
    table = pq.read_table(path)
    rows = zip(table["record_key"].to_pylist(), table["image"].to_pylist(), strict=True)
    return [cell for key, cell in rows if key.hex() in keys]


def test_what_tells_pictures_apart_is_of_their_pixels_and_needs_no_decoding(kept, monkeypatch):
    images = {split: kept.load(split) for split in ("train", "holdout", "test")}
    monkeypatch.setattr(jpeg, "decoded", lambda *given: pytest.fail("a picture was decoded"))
    contents, index = Contents.build(kept.path, kept.index(), None), kept.index()
    for arrays in images.values():
        places, _ = index.find_records(arrays.keys)
        assert sorted(contents.values[places].tolist()) == sorted(map(_bare, digests(arrays.images)))
    (path, *_) = shard_paths(kept.path)
    monkeypatch.undo()
    shard, decoded = read_stored(path), read_shard(path)
    seen = np.unpackbits(shard.cells.looks(kept.info.shape), axis=1).astype(bool)
    assert np.array_equal(seen, looks(decoded.images.reshape(-1, *kept.info.shape)))


def _bare(digest):
    return np.array([digest], "S16").tolist()[0]


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_erased_picture_is_known_again_however_it_comes(kept, photos, tmp_path, form):
    """Its pixels as a lossless file, and as the same JPEG with other metadata."""
    record = next(photos.records())
    listed = Pictures(tmp_path / "list", [Keys(b"another secret for tests only")])
    listed.add([record.image], [])
    out = io.BytesIO()
    if form == "PNG":
        Image.fromarray(record.image.transpose(1, 2, 0)).save(out, form)
    else:
        out.write(record.kept[:2] + b"\xff\xfe\0\x09another" + record.kept[2:])
    again = tmp_path / "again" / "cat"
    again.mkdir(parents=True)
    (again / f"other.{form.lower()}").write_bytes(out.getvalue())
    (found,) = get_reader("image-folder", {"root": tmp_path / "again"})
    assert listed.exact(found.image) and (found.kept is not None) == (form == "JPEG")


def test_a_mixed_store_keeps_pixels_where_a_jpeg_does_not_fit(tmp_path, keys):
    root = tmp_path / "mixed"
    for number in range(6):
        folder = root / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        scene(number, (32, 32) if number < 4 else (48, 40)).save(folder / f"{number}.jpg", quality=80)
    scene(9).save(root / "cat" / "lossless.png")
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(root / "dog" / "longer.jpg", quality=100, subsampling=0)  # than its pixels
    reader = get_reader("image-folder", {"root": root, "size": 32})
    done = import_records(reader, tmp_path / "data", keys, n_buckets=1, holdout=0, test=0)
    assert (done.records, done.jpegs) == (8, 4)
    store = RecordStore.open(tmp_path / "data", keys)
    expected = {keys.record(record.id): record.image for record in reader}
    arrays = store.load("train")
    assert all(np.array_equal(image, expected[key]) for key, image in zip(arrays.keys, arrays.images, strict=True))
    assert store.verify()["kept_jpegs"] == 4


def test_two_imports_give_the_same_bytes(photos, tmp_path, keys):
    for name in ("one", "two"):
        import_records(photos, tmp_path / name, keys, n_buckets=4)
    one, two = (RecordStore.open(tmp_path / name, keys).digest() for name in ("one", "two"))
    assert one == two


def test_another_decoder_is_noticed_where_it_gives_other_pixels(kept, keys, monkeypatch):
    write_info(kept.path, kept.info.model_copy(update={"decoder": "Pillow 1, libjpeg 6b"}))
    store = RecordStore.open(kept.path, keys)
    assert len(store.load("train"))  # other versions, the same pixels
    real = jpeg.decoded
    monkeypatch.setattr(jpeg, "decoded", lambda data, shape: real(data, shape) ^ np.uint8(1))
    for read in (lambda: store.load("train"), store.verify):
        with pytest.raises(DataError, match="decode to other pixels than when they were imported"):
            read()


def test_a_jpeg_that_is_none_is_an_error_of_one_line(kept, tmp_path):
    path = shard_paths(kept.path)[0]
    shard = read_stored(path)
    bad = shard.cells.columns.set_column(
        0, "image", cells.pa.array([b"\xff\xd8\xff"] * len(shard.cells), "large_binary")
    )
    write_shard(path, dataclasses.replace(shard, cells=dataclasses.replace(shard.cells, columns=bad)))
    with pytest.raises(DataError, match="cannot be decoded"):
        read_shard(path)
