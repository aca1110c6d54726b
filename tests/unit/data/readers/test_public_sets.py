"""Readers of public sets on small files in the published forms; the real sets where they are at hand."""

import gzip
import hashlib
import os
import pickle
import types
from pathlib import Path

import numpy as np
import pytest

from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.readers import get_reader
from tmu.data.readers.cifar_sets import Cifar10
from tmu.data.readers.idx_sets import Mnist
from tmu.data.readers.pickled_batches import read_batch
from tmu.data.store import RecordStore
from tmu.errors import ConfigError, DataError, StorageError


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def mnist(tmp_path, monkeypatch):
    """80 + 20 images in MNIST's form under `root`, gzipped, with their MD5s in place of the published ones."""
    stream = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": stream.integers(0, 256, (80, 28, 28)),
        "train-labels-idx1-ubyte": np.arange(80) % 10,
        "t10k-images-idx3-ubyte": stream.integers(0, 256, (20, 28, 28)),
        "t10k-labels-idx1-ubyte": np.arange(20) % 10,
    }
    resources = []
    for name, array in arrays.items():
        content = gzip.compress(idx(array))
        (tmp_path / f"{name}.gz").write_bytes(content)
        resources.append((f"{name}.gz", md5(content)))
    source = types.SimpleNamespace(resources=resources, classes=list("0123456789"), mirrors=["http://127.0.0.1:9/"])
    monkeypatch.setattr(Mnist, "published", (80, 20))
    monkeypatch.setattr(Mnist, "source", lambda self: source)
    return types.SimpleNamespace(root=tmp_path, arrays=arrays)


def test_idx_images_labels_and_default_splits(mnist):
    reader = get_reader("mnist", {"root": mnist.root})
    records = {record.id: record for record in reader}
    assert reader.count() == len(records) == 100 and reader.shape() == (1, 28, 28)
    for number in (0, 79):
        np.testing.assert_array_equal(
            records[f"train/{number}"].image[0], mnist.arrays["train-images-idx3-ubyte"][number]
        )
        assert records[f"train/{number}"].label == number % 10
    splits = [record.split for record in records.values()]
    assert {split: splits.count(split) for split in splits} == {"train": 60, "holdout": 20, "test": 20}
    assert all(record.split == "test" for name, record in records.items() if name.startswith("test/"))
    assert {record.subject for record in records.values()} == {None}


def test_a_public_set_is_imported(mnist, tmp_path):
    imported = import_records(get_reader("mnist", {"root": mnist.root}), tmp_path / "data", Keys(DEMO_SECRET))
    assert imported.sizes == ""  # all pictures of such a set are of one size: nothing is said of it
    assert len(RecordStore.open(tmp_path / "data").index()) == 100


def test_exact_counts_and_seeds(mnist):
    def drawn(**options):
        return [(r.id, r.split, r.subject) for r in get_reader("mnist", {"root": mnist.root, **options})]

    some = drawn(train=30, holdout=11, test=7)
    splits = [split for _, split, _ in some]
    assert (splits.count("train"), splits.count("holdout"), splits.count("test")) == (30, 11, 7)
    assert some == drawn(train=30, holdout=11, test=7)
    assert some != drawn(train=30, holdout=11, test=7, sample_seed=1)
    people = {subject for _, _, subject in drawn(subjects=5)}
    assert people == {f"contributor-{number}" for number in range(5)}
    for options in ({"train": 70, "holdout": 11}, {"test": 21}, {"holdout": 81}):
        with pytest.raises(ConfigError, match="80 records for train and holdout and 20 for test"):
            drawn(**options)


def test_unzipped_files_in_torchvision_form_and_damage(mnist):
    raw = mnist.root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in mnist.arrays:
        (raw / name).write_bytes(idx(mnist.arrays[name]))
        (mnist.root / f"{name}.gz").unlink()
    assert len(list(get_reader("mnist", {"root": mnist.root}))) == 100
    images = raw / "train-images-idx3-ubyte"
    whole = images.read_bytes()
    for damaged in (whole[:-1], b"", b"\0\0\x08\x01" + whole[4:]):
        images.write_bytes(damaged)
        with pytest.raises(DataError, match="truncated or of another kind"):
            list(get_reader("mnist", {"root": mnist.root}))
    images.unlink()
    with pytest.raises(DataError, match=r"no train-images-idx3-ubyte under .*download: true"):
        list(get_reader("mnist", {"root": mnist.root}))


def test_changed_gzip_is_refused(mnist):
    path = mnist.root / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="not the published file"):
        list(get_reader("mnist", {"root": mnist.root}))


def test_a_failed_download_says_so(mnist):
    (mnist.root / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(StorageError, match="could not be downloaded"):
        list(get_reader("mnist", {"root": mnist.root, "download": True}))


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A CIFAR-10 of 40 + 10 images in torchvision's folder form."""
    stream = np.random.default_rng(0)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    data = stream.integers(0, 256, (50, 3072)).astype(np.uint8)
    batches = {
        "data_batch_1": {"data": data[:20], "labels": [n % 10 for n in range(20)], "batch_label": "1"},
        "data_batch_2": {"data": data[20:40], "labels": [n % 10 for n in range(20)]},
        "test_batch": {"data": data[40:], "labels": [n % 10 for n in range(10)]},
        "batches.meta": {"label_names": list("abcdefghij"), "num_vis": 3072},
    }
    sums = {}
    for name, batch in batches.items():
        content = pickle.dumps(batch, protocol=4)
        (folder / name).write_bytes(content)
        sums[name] = md5(content)
    source = types.SimpleNamespace(
        base_folder=folder.name,
        train_list=[[name, sums[name]] for name in ("data_batch_1", "data_batch_2")],
        test_list=[["test_batch", sums["test_batch"]]],
        meta={"filename": "batches.meta", "md5": sums["batches.meta"], "key": "label_names"},
    )
    monkeypatch.setattr(Cifar10, "published", (40, 10))
    monkeypatch.setattr(Cifar10, "source", lambda self: source)
    return types.SimpleNamespace(root=tmp_path, folder=folder, data=data)


def test_cifar_batches(cifar):
    reader = get_reader("cifar10", {"root": cifar.root})
    records = {record.id: record for record in reader}
    assert reader.classes() == list("abcdefghij") and len(records) == 50
    np.testing.assert_array_equal(records["train/25"].image, cifar.data[25].reshape(3, 32, 32))
    np.testing.assert_array_equal(records["test/3"].image, cifar.data[43].reshape(3, 32, 32))
    assert records["train/25"].label == 5


def test_a_set_of_colour_pictures_is_imported(cifar, tmp_path):
    report = import_records(get_reader("cifar10", {"root": cifar.root}), tmp_path / "store", Keys(DEMO_SECRET))
    assert report.sizes == ""  # its pictures are of one size
    assert report.records == 50


def test_cifar_batch_with_another_md5_is_never_opened(cifar):
    (cifar.folder / "data_batch_2").write_bytes(pickle.dumps({"data": 1}))
    with pytest.raises(DataError, match="not the published file"):
        list(get_reader("cifar10", {"root": cifar.root}))
    (cifar.folder / "data_batch_2").unlink()
    with pytest.raises(DataError, match="there is no"):
        list(get_reader("cifar10", {"root": cifar.root}))


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "payload",
    [
        lambda flag: {"data": Hostile(os.mkdir, flag)},
        lambda flag: {"data": Hostile(eval, f"__import__('os').mkdir({flag!r})")},
        lambda flag: Hostile(os.system, f"mkdir {flag}"),
        lambda flag: {"data": Hostile(getattr, "text", "upper")},
        lambda flag: {"data": Hostile(np.lib.format.read_array, flag)},
        lambda flag: {"data": np.array([Hostile(os.mkdir, flag)], object)},
    ],
)
def test_hostile_pickle_is_refused_and_does_nothing(tmp_path, payload, protocol):
    flag = str(tmp_path / "was-here")
    (tmp_path / "batch").write_bytes(pickle.dumps(payload(flag), protocol=protocol))
    with pytest.raises(DataError, match="more than numbers and text"):
        read_batch(tmp_path / "batch")
    assert not Path(flag).exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"not a pickle", pickle.dumps([1]), pickle.dumps({"a": np.array([None])}, 4)]
)
def test_what_is_no_batch_is_refused(tmp_path, content):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(DataError):
        read_batch(tmp_path / "batch")


@pytest.mark.data
def test_real_fashion_mnist(shared_data):
    reader = get_reader(
        "fashion-mnist", {"root": shared_data / "fashion-mnist", "train": 50, "holdout": 50, "test": 20}
    )
    records = list(reader)
    assert len(records) == 120 and reader.classes()[9] == "Ankle boot"
    assert {record.image.shape for record in records} == {(1, 28, 28)}


@pytest.mark.data
@pytest.mark.slow
def test_real_cifar10_in_its_published_pickles(tmp_path, shared_data):
    """The published batches were written by Python 2: the admitted names must suffice for them."""
    import subprocess
    import sys

    packed = shared_data / "cifar10"
    subprocess.run([sys.executable, packed / "unpack.py", packed, tmp_path], check=True, capture_output=True)
    records = list(get_reader("cifar10", {"root": tmp_path, "train": 100, "holdout": 100, "test": 10}))
    assert len(records) == 210 and {record.image.shape for record in records} == {(3, 32, 32)}
