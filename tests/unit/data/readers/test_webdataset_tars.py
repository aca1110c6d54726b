"""WebDataset tars, written by their own library; and what is wrong with tars."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from tests.photographs import photograph, scene
from tmu.data.importer import import_records
from tmu.data.jpeg import decoded, stripped
from tmu.data.readers import get_reader
from tmu.errors import DataError

PHOTOS = [photograph(scene(number)) for number in range(6)]


def tar(path, members, end=True):
    """members: (name, content or None for a link)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                made.addfile(info)
            else:
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
    return path


def members(first=0, last=6, **changed):
    """Records as `n.jpg`, `n.cls`, `n.json`; changed: content by name, dots as underscores."""
    found = []
    for n in range(first, last):
        found += [(f"{n:04d}.jpg", PHOTOS[n]), (f"{n:04d}.cls", str(n % 2).encode())]
        found += [(f"{n:04d}.json", json.dumps({"who": f"p{n % 3}", "kind": ["cat", "dog"][n % 2]}).encode())]
    changed = {f"{name[1:5]}.{name[6:]}": content for name, content in changed.items()}
    return [(name, changed.get(name, content)) for name, content in found if changed.get(name, b"") != "gone"]


def read(root, **options):
    return get_reader("webdataset", {"root": root, "subject": "who", **options})


def everything(reader):
    reader.shape()
    return list(reader)


def test_records_as_their_own_library_writes_them(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    for number in range(2):
        with webdataset.TarWriter(str(tmp_path / f"shard-{number}.tar")) as writer:
            for n in range(3 * number, 3 * number + 3):
                told = {"who": f"p{n % 3}", "label": ["cat", "dog"][n % 2]}
                writer.write({"__key__": f"a/{n:04d}", "jpg": PHOTOS[n], "json": told})
    reader = read(tmp_path)
    assert reader.classes() == ["cat", "dog"] and reader.shape() == (3, 32, 32) and reader.count() == 6
    records = everything(reader)
    assert [(r.id, r.subject, r.label, r.split) for r in records] == [
        (f"a/{n:04d}", f"p{n % 3}", n % 2, None) for n in range(6)
    ]
    for number, record in enumerate(records):
        assert np.array_equal(record.image, decoded(stripped(PHOTOS[number]), (3, 32, 32)))
        assert record.kept == stripped(PHOTOS[number])


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_labels_of_cls_and_of_a_key(tmp_path, name):
    path = tar(tmp_path / name, members())
    assert read(path).classes() == ["0", "1"]
    assert read(path, label="kind").classes() == ["cat", "dog"]
    assert next(r.id for r in read(path, ids="tar/key")) == f"{name}/0000"
    assert {r.subject for r in get_reader("webdataset", {"root": path})} == {None}


def test_splits_by_the_names_of_tars(tmp_path):
    tar(tmp_path / "train-000.tar", members(0, 4))
    tar(tmp_path / "val-000.tar", members(4, 5))
    tar(tmp_path / "test" / "000.tar", members(5, 6))
    with pytest.raises(DataError, match="splits of its own: test, train, val"):
        everything(read(tmp_path))
    assert [(r.id, r.split) for r in read(tmp_path, splits="keep")] == [
        ("0005", "test"), *((f"{n:04d}", "train") for n in range(4)), ("0004", "holdout"),
    ]  # fmt: skip


BAD = {
    "Record 3 of the tars is truncated or damaged": {"_0002_jpg": PHOTOS[2][:300]},
    "Record 3 of the tars is empty": {"_0002_jpg": b""},
    "Record 3 of the tars has no picture": {"_0002_jpg": "gone"},
    "Record 3 of the tars has no label": {"_0002_cls": "gone"},
    "Record 3 of the tars has damaged JSON": {"_0002_json": b"{"},
    "Record 3 of the tars has damaged": {"_0002_json": b"[" * 100_000},
}


@pytest.mark.parametrize(("said", "changed"), BAD.items(), ids=BAD)
def test_a_bad_record_is_named_by_its_place(tmp_path, said, changed):
    with pytest.raises(DataError, match=f"^{said}"):
        everything(read(tar(tmp_path / "a.tar", members(**changed))))


def test_a_bomb_is_refused_before_it_is_decoded_or_read(tmp_path, monkeypatch):
    out = io.BytesIO()
    Image.new("1", (20_000, 9_000)).save(out, "PNG")
    path = tar(tmp_path / "a.tar", [*members(0, 5), ("0005.png", out.getvalue()), ("0005.cls", b"1")])
    with pytest.raises(DataError, match=r"Record 6 of the tars is too large .over 50,000,000 pixels"):
        everything(read(path))
    monkeypatch.setattr("tmu.data.readers.webdataset_tars._LARGEST", len(out.getvalue()) - 1)
    with pytest.raises(DataError, match=r"Record 6 of the tars is too large .over 0 MiB"):
        everything(read(path))


@pytest.mark.parametrize("name", ["../0009.jpg", "/tmp/0009.jpg", "a/../../0009.jpg"])
def test_a_path_that_leads_out_of_a_tar_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"^Tar 1 holds a path that leads out of it") as caught:
        everything(read(tar(tmp_path / "a.tar", [*members(), (name, PHOTOS[0])])))
    assert name not in str(caught.value) and caught.value.details == (name,)


def test_links_and_strangers_are_passed_over_and_counted(tmp_path):
    path = tar(tmp_path / "a.tar", [*members(), ("0009.jpg", None), ("README", b"x"), (".hidden", b"y")])
    reader = read(path)
    assert len(everything(reader)) == 6
    assert reader.left_out() == {"link or device in a tar": 1, "member without a key or an extension": 2}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_tar_that_is_cut_or_changed_anywhere_is_an_error_of_one_line(tmp_path, name):
    tar(tmp_path / "0.tar", members(0, 1))
    whole = tar(tmp_path / name, members(1, 6)).read_bytes()
    half = len(whole) // 2
    broken = [whole[:half], b"", b"no tar at all", whole[: half - half % 512]]
    if name == "a.tar":  # the head of a member in the middle: `tarfile` takes it for the end
        place = whole.index(b"0003.jpg")
        broken += [whole[:place] + bytes(30) + whole[place + 30 :], whole[: len(whole) - len(whole) % 10240 - 10240]]
    for content in broken:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"^Tar 2 of 2 is damaged after \d+ members\. Make or download it again"):
            everything(read(tmp_path))


def test_a_key_that_comes_twice(tmp_path, keys):
    tar(tmp_path / "0.tar", members(0, 4))
    tar(tmp_path / "1.tar", members(0, 4))
    with pytest.raises(DataError, match="Record 5 of the tars has the id of an earlier record"):
        import_records(read(tmp_path), tmp_path / "data", keys, holdout=0, test=0)
    assert not (tmp_path / "data").exists()
    assert import_records(read(tmp_path, ids="tar/key"), tmp_path / "data", keys, holdout=0, test=0).records == 8
    tar(tmp_path / "1.tar", [("0009.jpg", PHOTOS[0]), ("0009.jpg", PHOTOS[1])])
    with pytest.raises(DataError, match="Tar 2 holds a file twice"):
        everything(read(tmp_path))


def test_what_is_no_tar(tmp_path):
    with pytest.raises(DataError, match="There is no tar at"):
        list(read(tmp_path))


def test_a_class_of_very_many_digits_is_no_number(tmp_path):
    path = tar(tmp_path / "a.tar", members(_0000_cls=b"9" * 5_000))
    assert "9" * 5_000 in read(path).classes()
