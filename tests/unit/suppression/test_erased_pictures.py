"""The list of erased pictures: exact and near copies are known, others are not, and the file tells nothing."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tmu.data.keys import Keys
from tmu.data.looks import BITS, distances, looks, near_bound
from tmu.data.pixel_digests import digests
from tmu.errors import StorageError
from tmu.suppression.pictures import FILE, Pictures

KEYS, OTHER = Keys(b"a secret of this workspace"), Keys(b"another secret, of nobody here")


def scenes(n: int, side: int = 32, seed: int = 0) -> np.ndarray:
    """Smooth coloured pictures, uint8 (N, 3, side, side), that differ from each other as photographs do."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 6, 6, 3), np.uint8)
    sized = [np.asarray(Image.fromarray(each).resize((side, side), Image.Resampling.BICUBIC)) for each in coarse]
    return np.stack(sized).transpose(0, 3, 1, 2)


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    sink = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(sink, "JPEG", quality=quality)
    return np.asarray(Image.open(sink)).transpose(2, 0, 1)


def resized(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize((side, side))).transpose(2, 0, 1)


@pytest.fixture
def listed(tmp_path: Path) -> Pictures:
    pictures = scenes(60)
    Pictures(tmp_path, [KEYS]).add(pictures[:3], pictures[3:])
    return Pictures(tmp_path, [KEYS])


def test_exact_copies_are_known_and_others_are_not(listed: Pictures) -> None:
    assert [listed.exact(image) for image in scenes(60)] == [True] * 3 + [False] * 57
    assert listed.exact_digests(digests(scenes(60))) == 3


def test_near_copies_are_known_and_other_pictures_are_not(listed: Pictures) -> None:
    for image in scenes(60)[:3]:
        copies = [encoded(image, 90), encoded(image, 60), resized(image, 64), resized(image, 24), image[:, :, ::-1]]
        assert [listed.near(copy) for copy in copies] == [True] * len(copies)
        assert not listed.exact(copies[0])
    assert not any(listed.near(image) for image in scenes(200, seed=5))


def test_the_bound_follows_the_data(tmp_path: Path) -> None:
    """Pictures that hardly differ from each other get a bound below their distances."""
    alike = np.stack([encoded(scenes(1)[0], quality) for quality in range(20, 60)])
    bound = near_bound(looks(alike))
    apart = distances(looks(alike), looks(alike))
    assert bound < np.quantile(np.where(apart == 0, BITS, apart).min(1), 0.5)
    assert near_bound(looks(scenes(60))) > bound
    assert near_bound(looks(scenes(1))) == near_bound(looks([])) == 0


def test_the_same_pictures_are_listed_once(listed: Pictures) -> None:
    assert (len(listed), listed.add(scenes(60)[:3], scenes(60)[3:])) == (3, 0)


def test_the_file_has_nothing_that_can_be_tested_without_the_key(listed: Pictures, tmp_path: Path) -> None:
    raw = (tmp_path / FILE).read_text()
    image = scenes(60)[0]
    assert digests(image[None])[0].hex() not in raw
    assert np.packbits(looks([image])[0]).tobytes().hex() not in raw
    with pytest.raises(StorageError, match="under another secret"):
        Pictures(tmp_path, [OTHER])
    assert len(Pictures(tmp_path, [OTHER, KEYS])) == 3  # a former secret still tells


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[:-9], lambda raw: b"x" + raw, lambda raw: raw.replace(b'"look": "', b'"look": "AA')]
)
def test_a_damaged_list_is_an_error_and_not_an_empty_one(listed: Pictures, tmp_path: Path, spoil) -> None:
    raw = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(spoil(raw))
    with pytest.raises(StorageError, match="is damaged"):
        Pictures(tmp_path, [KEYS])
