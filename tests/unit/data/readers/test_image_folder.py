import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from tmu.data.readers import get_reader
from tmu.errors import DataError


def picture(path, value=0, size=(6, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def people(tmp_path):
    root = tmp_path / "images"
    picture(root / "a.png", 10)
    picture(root / "b.png", 20)
    picture(root / "sub" / "c.png", 30)
    return root


def listed(root, *lines, header="path,label,subject", **options):
    path = root.parent / "people.csv"
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return get_reader("image-folder", {"root": root, "subjects": path, **options})


def test_csv(people):
    reader = listed(
        people, "a.png,cat,Zoë,test", "b.png,dog,,", 'sub/c.png,cat,"Smith, J",train', header="path,label,subject,split"
    )
    records = list(reader)
    assert reader.classes() == ["cat", "dog"] and reader.shape() == (1, 4, 6) and reader.count() == 3
    assert [(r.id, r.subject, r.label, r.split) for r in records] == [
        ("a.png", "Zoë", 0, "test"),
        ("b.png", None, 1, None),
        ("sub/c.png", "Smith, J", 0, "train"),
    ]
    assert [int(record.image[0, 0, 0]) for record in records] == [10, 20, 30]
    assert not reader.simulated


def test_folders_name_labels_and_people(tmp_path):
    for person in ("s2", "s10"):
        for number in range(2):
            picture(tmp_path / person / f"{number}.pgm", 7)
    (tmp_path / "README").write_text("about")
    (tmp_path / "s2" / ".hidden").write_text("x")
    reader = get_reader("image-folder", {"root": tmp_path, "subject_from": "folder"})
    assert [(r.id, r.subject) for r in reader] == [(f"{p}/{n}.pgm", p) for p in ("s10", "s2") for n in range(2)]
    assert {r.subject for r in get_reader("image-folder", {"root": tmp_path})} == {None}


def test_numeric_labels_sort_as_numbers(people):
    assert listed(people, "a.png,10,x", "b.png,9,x", "sub/c.png,1,x").classes() == ["1", "9", "10"]


def test_modes(people):
    picture(people / "d.png", (1, 2, 3), mode="RGB")
    lines = "a.png,x,p", "d.png,y,p"
    assert listed(people, *lines).shape() == (3, 4, 6)
    assert list(listed(people, *lines))[1].image[:, 0, 0].tolist() == [1, 2, 3]
    assert listed(people, *lines, mode="L").shape() == (1, 4, 6)
    picture(people / "deep.png", 1000, mode="I;16")
    with pytest.raises(DataError, match="CSV line 2 has more than 8 bits"):
        listed(people, "deep.png,x,p").shape()


def test_sizes_must_agree_or_be_given(people):
    picture(people / "d.png", 9, size=(12, 8))
    lines = "a.png,x,p", "d.png,y,p"
    with pytest.raises(DataError, match=r"CSV line 3 is 12x8 pixels.*`--size`"):
        list(listed(people, *lines))
    records = list(listed(people, *lines, size=5))
    assert {record.image.shape for record in records} == {(1, 5, 5)} and np.all(records[1].image == 9)


def test_bad_bytes_are_told_by_line_and_kind_and_by_name_in_the_details_alone(people):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
    good = people / "ann-smith.png"
    Image.fromarray(noise).save(good)
    whole = good.read_bytes()
    jpeg = people / "jpeg"
    Image.fromarray(noise).save(jpeg, "JPEG")
    damaged = {
        "is no picture": [b"this is no image"],
        "is empty": [b""],
        "is truncated or damaged": [
            whole[:40],
            whole[: len(whole) // 2],
            whole[:200] + bytes(400) + whole[600:],
            jpeg.read_bytes()[:300],
        ],
    }
    for kind, contents in damaged.items():
        for content in contents:
            good.write_bytes(content)
            with pytest.raises(DataError, match=f"^CSV line 2 {kind}") as caught:
                listed(people, "ann-smith.png,x,p").shape(), list(listed(people, "ann-smith.png,x,p"))
            assert "ann" not in str(caught.value)
            assert caught.value.details == (f"CSV line 2, ann-smith.png: {kind}",)


def test_missing_image_and_bad_lines(people):
    with pytest.raises(DataError, match="CSV line 3 is missing"):
        list(listed(people, "a.png,x,p", "nobody.png,y,p"))
    with pytest.raises(DataError, match=r"None of the 2 pictures that the CSV lists is in .*images") as caught:
        list(listed(people, "x/a.png,x,p", "x/b.png,y,p"))
    assert "--root" in caught.value.hint
    with pytest.raises(DataError, match="CSV line 3 has no path or no label"):
        list(listed(people, "a.png,x,p", "b.png,,p"))
    with pytest.raises(DataError, match="CSV line 2 has an unknown split"):
        list(listed(people, "a.png,x,p,valid", header="path,label,subject,split"))
    with pytest.raises(DataError, match="no column `subject`"):
        list(listed(people, "a.png,x", header="path,label"))
    with pytest.raises(DataError, match="No images"):
        list(listed(people))


def test_csv_must_be_utf8_and_exist(people):
    reader = listed(people, "a.png,x,p")
    (people.parent / "people.csv").write_bytes("path,label,subject\na.png,x,Zoë\n".encode("latin1"))
    with pytest.raises(DataError, match="UTF-8"):
        list(reader)
    (people.parent / "people.csv").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        list(get_reader("image-folder", {"root": people, "subjects": people.parent / "people.csv"}))
    with pytest.raises(DataError, match="no folder"):
        list(get_reader("image-folder", {"root": people / "nothing"}))


def test_paths_that_leave_the_folder_are_refused(people, tmp_path):
    picture(tmp_path / "outside.png")
    os.symlink(tmp_path / "outside.png", people / "link.png")
    for path in ("../outside.png", str(tmp_path / "outside.png"), "link.png", "sub/../../outside.png"):
        with pytest.raises(DataError, match="CSV line 2 points outside"):
            list(listed(people, f"{path},x,p"))


def test_two_paths_to_one_image_are_one_record_of_two_people(people):
    (record,) = listed(people, "a.png,x,p", "sub/../a.png,x,y")
    assert (record.id, record.subject, record.also) == ("a.png", "p", ("y",))
    for second in ("a.png,y,q", "a.png,x,p", "a.png,x,"):
        with pytest.raises(DataError, match="CSV line 3 lists the picture of CSV line 2 again"):
            list(listed(people, "a.png,x,p", second))


@pytest.mark.data
def test_real_faces(tmp_path, shared_data):
    with tarfile.open(shared_data / "orl-faces" / "orl_faces.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    reader = get_reader("image-folder", {"root": tmp_path / "orl_faces", "subject_from": "folder"})
    records = list(reader)
    assert len(records) == 400 and reader.shape() == (1, 112, 92) and len({r.subject for r in records}) == 40
