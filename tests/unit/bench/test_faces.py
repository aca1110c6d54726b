"""The faces as an image folder: labels that are not the person, or that are; pictures of everybody in every split."""

import csv
import io
import tarfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from bench.runner import faces
from tmu.data.readers import get_reader
from tmu.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """An archive in the published form: 40 people of ten pictures, 92 x 112."""
    folder, rng = tmp_path_factory.mktemp("shared"), np.random.default_rng(0)
    with tarfile.open(folder / faces.ARCHIVE, "w:xz") as packed:
        for person in range(1, 41):
            for number in range(1, 11):
                sink = io.BytesIO()
                Image.fromarray(rng.integers(0, 256, (112, 92), dtype=np.uint8)).save(sink, "PPM")
                member = tarfile.TarInfo(f"orl_faces/s{person}/{number}.pgm")
                member.size = sink.tell()
                packed.addfile(member, io.BytesIO(sink.getvalue()))
    return folder


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return tmp_path_factory.mktemp("faces")


def records(source, target, **options):
    return list(get_reader(*faces.reader(source, target, options)))


def test_the_class_is_a_group_of_ten_people_and_not_the_person(source, target):
    found = records(source, target)
    assert len(found) == 400 and found[0].image.shape == (1, 24, 20)
    group = {record.subject: record.label for record in found}
    assert len(group) == 40
    assert Counter(group.values()) == {0: 10, 1: 10, 2: 10, 3: 10}
    assert all(record.label == group[record.subject] for record in found)
    of = Counter((record.subject, record.split) for record in found)
    assert {of[person, "train"] for person in group} == {6}
    assert {of[person, "holdout"] for person in group} == {1}
    assert {of[person, "test"] for person in group} == {3}


def test_groups_do_not_follow_the_published_numbers(source, target):
    records(source, target)
    with open(target / "group.csv") as file:
        group = {line["subject"]: line["label"] for line in csv.DictReader(file)}
    assert [group[f"s{n}"] for n in range(1, 41)] != [f"group {(n - 1) % 4 + 1}" for n in range(1, 41)]


def test_a_person_can_be_the_class_and_both_lie_side_by_side(source, target):
    group, person = records(source, target), records(source, target, label="person")
    assert len({record.label for record in person}) == 40
    split = {(record.id, record.split) for record in group}
    assert split == {(record.id, record.split) for record in person}


def test_bad_options_and_archives_are_refused(source, tmp_path):
    (tmp_path / faces.ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be read"):
        faces.reader(tmp_path, tmp_path / "out", {})
    with pytest.raises(ConfigError, match="label"):
        faces.reader(source, tmp_path / "out", {"label": "name"})
