"""Data sets of Hugging Face on the disk, written by their own library; and what is wrong with sets."""

import io
import json
import math
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.photographs import photograph, scene
from tmu.data.jpeg import decoded, stripped
from tmu.data.readers import get_reader
from tmu.data.readers.picture_files import Fault
from tmu.data.readers.picture_reader import people_of
from tmu.errors import ConfigError, DataError

PHOTOS = [photograph(scene(number)) for number in range(6)]
CLASSES = ["dog", "cat"]  # not sorted: the set's order counts
FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": CLASSES}}


def rows(photos=PHOTOS, **more):
    images = [{"bytes": photo, "path": None} for photo in photos]
    return {
        "image": images,
        "label": [n % 2 for n in range(len(photos))],
        "who": [f"p{n % 3}" for n in range(len(photos))],
    } | more


def table(features=FEATURES, **more):
    made = pa.table(rows(**more))
    return (
        made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        if features
        else made
    )


def parquet(root, name="data/train-00000-of-00001.parquet", **how):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(**how), path, row_group_size=2, write_page_checksum=True)
    return path


def read(root, **options):
    return get_reader("hugging-face", {"root": root, "subject": "who", **options})


def same(record, number):
    return np.array_equal(record.image, decoded(stripped(PHOTOS[number]), (3, 32, 32)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The same rows as their library writes them: a set, a set with splits, and Parquet."""
    root = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(root / "home"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        import datasets

        datasets.disable_progress_bars()
        columns = {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=CLASSES),
            "who": datasets.Value("string"),
        }
        whole = datasets.Dataset.from_dict(rows(), features=datasets.Features(columns))
        whole.save_to_disk(root / "one", num_shards=2)
        parts = {"train": whole.select(range(4)), "validation": whole.select([4]), "test": whole.select([5])}
        datasets.DatasetDict(parts).save_to_disk(root / "parts")
        (root / "hub" / "data").mkdir(parents=True)
        whole.to_parquet(root / "hub" / "data" / "train-00000-of-00001.parquet")
    return root


@pytest.mark.parametrize(("name", "split"), [("one", "all"), ("hub", "train")])
def test_a_set_of_one_part(saved, name, split):
    reader = read(saved / name)
    assert reader.classes() == CLASSES and reader.shape() == (3, 32, 32) and reader.count() == 6
    records = list(reader)
    assert [(r.id, r.subject, r.label, r.split) for r in records] == [
        (f"{split}/{n}", f"p{n % 3}", n % 2, None) for n in range(6)
    ]
    assert all(same(record, number) for number, record in enumerate(records))
    assert [record.kept for record in records] == [stripped(photo) for photo in PHOTOS]
    assert not reader.simulated and {r.subject for r in get_reader("hugging-face", {"root": saved / name})} == {None}


def test_splits_are_kept_or_mixed_but_never_silently(saved):
    with pytest.raises(DataError, match=r"splits of its own: test, train, validation.*splits=keep"):
        list(read(saved / "parts"))
    kept = list(read(saved / "parts", splits="keep"))
    assert [(r.id, r.split) for r in kept] == [
        *((f"train/{n}", "train") for n in range(4)), ("validation/0", "holdout"), ("test/0", "test"),
    ]  # fmt: skip
    assert {r.split for r in read(saved / "parts", splits="mix")} == {None}


def test_parquet_names_and_folders_tell_splits(tmp_path):
    parquet(tmp_path, "data/train-00000-of-00002.parquet")
    parquet(tmp_path, "data/train-00001-of-00002.parquet")
    parquet(tmp_path, "test/0000.parquet")
    assert [r.split for r in read(tmp_path, splits="keep")] == ["train"] * 12 + ["test"] * 6
    parquet(tmp_path, "data/odd-0.parquet")
    with pytest.raises(DataError, match="1 of the source's 3 splits have no known name"):
        list(read(tmp_path, splits="keep"))
    parquet(tmp_path, "other/train-0.parquet")
    with pytest.raises(DataError, match="several data sets"):
        list(read(tmp_path))


def test_columns_are_named_where_the_set_does_not_tell(tmp_path):
    parquet(tmp_path, features=None)
    assert read(tmp_path).classes() == ["0", "1"]  # by name: image, label
    assert read(tmp_path, label="who").classes() == ["p0", "p1", "p2"]
    with pytest.raises(ConfigError, match=r"no column `whom`\. Its columns: image, label, who"):
        read(tmp_path, subject="whom").classes()
    with pytest.raises(DataError, match="holds no encoded pictures"):
        read(tmp_path, image="who").shape()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"no column of the feature Image.*the columns: x"):
        get_reader("hugging-face", {"root": tmp_path}).shape()


def test_plain_bytes_several_people_and_ids(tmp_path):
    parquet(tmp_path, image=PHOTOS, who=[["a", "b"], [], ["c"], ["a"], None, ["b"]], name="x.parquet")  # type: ignore
    records = list(read(tmp_path, label="label"))
    assert [(r.subject, r.also) for r in records] == [
        ("a", ("b",)), (None, ()), ("c", ()), ("a", ()), (None, ()), ("b", ()),
    ]  # fmt: skip


def test_ids_may_come_from_a_column(tmp_path):
    parquet(tmp_path, number=[10, 11, 12, 13, 14, 15])
    assert [r.id for r in read(tmp_path, id="number")] == ["10", "11", "12", "13", "14", "15"]


BAD = {
    "has no picture in the set": {"image": [{"bytes": None, "path": "a.png"}]},
    "is truncated or damaged": {"image": [{"bytes": PHOTOS[0][:300], "path": None}]},
    "is empty": {"image": [{"bytes": b"", "path": None}]},
    "is no picture": {"image": [{"bytes": b"a letter", "path": None}]},
    "has the label 7, of no class": {"label": [7]},
    "has the label -1, of no class": {"label": [-1]},
    "has no label": {"label": [None]},
}


@pytest.mark.parametrize(("said", "first"), BAD.items(), ids=BAD)
def test_a_bad_row_is_named_by_its_place(tmp_path, said, first):
    good = rows()
    changed = {name: [*values, *good[name][1:]] for name, values in first.items()}
    parquet(tmp_path, **changed)
    with pytest.raises(DataError, match=f"^Row 1 of the set {said}"):
        reader = read(tmp_path)
        reader.shape(), list(reader)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path):
    out = io.BytesIO()
    Image.new("1", (20_000, 9_000)).save(out, "PNG")
    parquet(tmp_path, photos=[*PHOTOS[:5], out.getvalue()])
    with pytest.raises(DataError, match="Row 6 of the set is too large"):
        list(read(tmp_path))


@pytest.mark.parametrize("kind", ["one", "hub"])
def test_a_damaged_file_is_an_error_of_one_line_wherever_the_damage_is(saved, tmp_path, kind):
    shutil.copytree(saved / kind, tmp_path / kind)
    path = max(each for each in (tmp_path / kind).rglob("*") if each.suffix in (".arrow", ".parquet"))
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", whole[:100], bytes(400) + whole[400:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"^File \d of \d is damaged or of another form after \d rows\. ") as caught:
            reader = read(tmp_path / kind)
            reader.shape(), list(reader)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("checksums", [True, False])
def test_a_flipped_bit_is_seen_by_the_checksums_of_parquet_and_where_there_are_none_not(tmp_path, checksums):
    """As the documents say: without them another person is read."""
    path = tmp_path / "train.parquet"
    how = {"use_dictionary": False, "compression": "none", "write_statistics": False}
    pq.write_table(table(), path, write_page_checksum=checksums, **how)
    flipped = path.read_bytes().replace(b"\x02\0\0\0p1", b"\x02\0\0\0q1", 1)
    assert sum(a != b for a, b in zip(path.read_bytes(), flipped, strict=True)) == 1
    path.write_bytes(flipped)
    if not checksums:
        assert "q1" in {record.subject for record in read(tmp_path)}
        return
    with pytest.raises(DataError, match="File 1 of 1 is damaged"):
        list(read(tmp_path))


def test_a_column_that_a_later_file_lacks(tmp_path):
    parquet(tmp_path, "data/train-0.parquet")
    path = tmp_path / "data" / "train-1.parquet"
    pq.write_table(pa.table({"image": PHOTOS, "other": [0] * 6}), path)
    with pytest.raises(DataError, match="File 2 of 2 is damaged or of another form after 0 rows"):
        list(read(tmp_path))


def test_a_set_that_names_files_elsewhere_is_refused(saved, tmp_path):
    (tmp_path / "state.json").write_text(
        json.dumps({"_data_files": [{"filename": "../one/data-00000-of-00002.arrow"}]})
    )
    with pytest.raises(DataError, match="names a file outside of it"):
        list(read(tmp_path))
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"state\.json of the set is damaged"):
        list(read(tmp_path))


def test_what_is_no_set(tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        list(read(tmp_path / "nothing"))
    with pytest.raises(DataError, match="is no data set on the disk"):
        list(read(tmp_path))


def test_people_are_texts_and_whole_numbers_and_a_missing_one_is_nobody(tmp_path):
    assert people_of([7, "", None, "a"]) == ("7", "a")
    assert people_of(float("nan")) == people_of(None) == people_of([]) == ()
    for value in (7.0, True, {"id": "a"}, [["a"]], b"a"):
        with pytest.raises(Fault):
            people_of(value)
    parquet(tmp_path, who=[7.5, *[math.nan] * 5])
    with pytest.raises(DataError, match="Row 1 of the set has a person that is no text or whole number"):
        list(read(tmp_path))
