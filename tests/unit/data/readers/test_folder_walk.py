"""What of a folder is taken, what is left out and counted, and roots that hold splits."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tmu.data.readers import get_reader
from tmu.data.readers.folder_walk import walk
from tmu.errors import DataError


def made(root, *names):
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", "") and not path.name.startswith("."):
            Image.new("L", (4, 4), number).save(path, "PNG")
        else:
            path.write_bytes(b"something else")
    return root


def folder(root, **options):
    return get_reader("image-folder", {"root": root, **options})


CLASSES = ("cat/1.png", "cat/deep/er/2.png", "dog/3.png", "dog/4")


def test_hidden_and_foreign_entries_are_left_out_at_every_depth_and_counted(tmp_path):
    made(tmp_path, *CLASSES)
    made(
        tmp_path, ".ipynb_checkpoints/1-checkpoint.png", "cat/.ipynb_checkpoints/1.png", "cat/deep/._2.png", ".DS_Store"
    )
    made(tmp_path, "__MACOSX/cat/1.png", "cat/@eaDir/1.png", "dog/Thumbs.db", "cat/deep/desktop.ini")
    made(tmp_path, "dog/notes.txt", "dog/labels.json", "root.png", "root-2.png")
    os.symlink(tmp_path / "cat", tmp_path / "again")
    os.mkfifo(tmp_path / "dog" / "pipe")
    reader = folder(tmp_path)
    assert [record.id for record in reader] == list(CLASSES)
    assert reader.classes() == ["cat", "dog"]
    assert reader.left_out() == {
        "hidden or system entry": 8,
        "not a picture by its extension": 2,
        "not a regular file": 1,
        "link to a folder": 1,
        "picture in the root, without a class": 2,
    }


def test_capital_suffixes_are_pictures_and_order_is_that_of_the_paths(tmp_path):
    made(tmp_path, "b/2.png", "b/10.png", "a/x.png")
    (tmp_path / "a" / "x.png").rename(tmp_path / "a" / "X.PNG")
    assert walk(tmp_path).pictures == [Path("a/X.PNG"), Path("b/10.png"), Path("b/2.png")]


@pytest.mark.parametrize(
    "names",
    [
        ("train/cat/1.png", "train/dog/1.png", "val/cat/2.png"),
        ("train/cat/1.png", "train/dog/1.png"),
        ("Train/cat/1.png", "Test/cat/1.png", "extra/cat/1.png"),
        ("training/cat/1.png", "validation/cat/1.png"),
    ],
)
def test_a_root_of_splits_is_refused_with_the_way_on(tmp_path, names):
    made(tmp_path, *names)
    with pytest.raises(DataError, match=r"look like splits, not like classes.*splits=folders"):
        folder(tmp_path).classes()
    assert folder(tmp_path, splits="classes").classes() == sorted({name.split("/")[0] for name in names})


def test_classes_that_are_called_like_splits_are_classes(tmp_path):
    made(tmp_path, "train/1.png", "car/1.png", "test/2.png")
    assert folder(tmp_path).classes() == ["car", "test", "train"]
    made(tmp_path, "train/morning/3.png")  # a vehicle, in folders of its own
    assert folder(tmp_path).classes() == ["car", "test", "train"]


def test_folders_are_mapped_to_splits_where_that_is_said(tmp_path):
    made(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "test/dog/4.png")
    records = list(folder(tmp_path, splits="folders", subject_from="folder"))
    assert [(r.id, r.split, r.subject, r.label) for r in records] == [
        ("test/dog/4.png", "test", "dog", 1),
        ("train/cat/1.png", "train", "cat", 0),
        ("train/dog/2.png", "train", "dog", 1),
        ("val/cat/3.png", "holdout", "cat", 0),
    ]
    made(tmp_path, "extra/cat/5.png")
    with pytest.raises(DataError, match="Not every folder in the root is a split"):
        folder(tmp_path, splits="folders").classes()


def test_a_split_without_classes_is_refused(tmp_path):
    made(tmp_path, "train/cat/1.png", "train/2.png", "test/cat/3.png")
    with pytest.raises(DataError, match="without a class"):
        folder(tmp_path, splits="folders").classes()


def test_a_class_whose_name_cannot_be_read_is_refused(tmp_path):
    made(tmp_path, "cat/1.png", "ca\u200bt/2.png")
    with pytest.raises(DataError, match=r"U\+200B"):
        folder(tmp_path).classes()


def test_what_the_csv_does_not_list_is_counted(tmp_path):
    made(tmp_path, *CLASSES, "x.png", ".hidden/1.png")
    csv = tmp_path / "people.csv"
    csv.write_text("path,label,subject\ncat/1.png,cat,anna\nx.png,dog,bert\n.hidden/1.png,dog,bert\n")
    reader = folder(tmp_path, subjects=csv)
    assert reader.count() == 3  # what is listed is taken, wherever it lies
    assert reader.left_out() == {"picture that the CSV does not list": 3, "hidden or system entry": 1}
