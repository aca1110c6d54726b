import numpy as np
import pytest

from tmu.data.readers import get_reader, known_readers
from tmu.errors import ConfigError


def test_all_readers_are_found():
    assert {"digits", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "image-folder"} <= set(known_readers())


def test_unknown_reader_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"no reader `imagenet`.*cifar10, cifar100, digits"):
        get_reader("imagenet")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits", {"size": 3}, "option `size`.*Its options are: none"),
        ("cifar10", {"root": "x", "trian": 5}, "option `trian`.*Its options are: root, download, train"),
        ("cifar10", {}, "needs the option `root`.*Give --root DIR"),
        ("cifar10", {"root": "x", "train": 0}, "option `train`"),
        ("image-folder", {"root": "x", "mode": "CMYK"}, "option `mode`"),
    ],
)
def test_bad_options_are_named(name, options, message):
    with pytest.raises(ConfigError, match=message):
        get_reader(name, options)


def test_digits_are_the_published_ones_with_a_hundred_contributors():
    from sklearn.datasets import load_digits

    digits = get_reader("digits")
    records = list(digits)
    source = load_digits()
    assert digits.count() == len(records) == 1797 and digits.simulated
    images = np.stack([record.image for record in records])
    assert images.dtype == np.uint8 and images.shape == (1797, *digits.shape())
    np.testing.assert_array_equal(images[:, 0] / 15, source.images)
    assert [record.label for record in records] == source.target.tolist()
    assert len({record.id for record in records}) == 1797
    assert {record.subject for record in records} == {f"contributor-{number:03d}" for number in range(100)}


def test_contributors_are_fixed_uneven_and_of_mixed_classes():
    records = list(get_reader("digits"))
    contributors = np.array([int(record.subject.removeprefix("contributor-")) for record in records])
    sizes = np.bincount(contributors)
    assert (sizes.min(), sizes.max(), len(sizes)) == (8, 28, 100)
    # pinned: a change would give every digit to somebody else
    assert contributors[:8].tolist() == PINNED
    labels = np.array([record.label for record in records])
    assert min(len(set(labels[contributors == person])) for person in range(100)) >= 4


PINNED = [17, 73, 64, 7, 15, 80, 63, 65]
