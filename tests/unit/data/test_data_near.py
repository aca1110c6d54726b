"""Near copies: found among many at a bounded cost, named by key in a check, counted in a plan."""

import io
import re
from base64 import b64decode

import imagehash
import numpy as np
import pytest
from PIL import Image

from tests.photographs import scene
from tmu.data import near
from tmu.data.importer import import_records
from tmu.data.looks import looks
from tmu.data.near import BOUND, like_any, near_pairs
from tmu.data.pairs_page import pairs_page
from tmu.data.readers import get_reader
from tmu.data.store import RecordStore
from tmu.data.what_stays import what_stays

RANDOM = np.random.default_rng(4)


def detailed(seed):
    """A picture (64, 64) with as much detail as a photograph: what is smooth has no look to speak of."""
    rough = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return Image.fromarray(rough).resize((64, 64), Image.Resampling.BICUBIC)


def random_looks(n):
    """Packed looks of which half of the bits are set."""
    return RANDOM.integers(0, 256, (n, 64), np.uint8)


def turned(look, bits):
    flat = np.unpackbits(look)
    flat[RANDOM.choice(512, bits, replace=False)] ^= 1
    return np.packbits(flat)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 40, 24), (1, 100, 70)])
def test_looks_are_the_hashes_of_the_library(shape):
    images = RANDOM.integers(0, 256, (5, *shape), np.uint8)
    images[3:] = [[[[7]]], [[[200]]]]  # of one shade
    for image, look in zip(images, looks(images), strict=True):
        picture = Image.fromarray(image[0] if shape[0] == 1 else image.transpose(1, 2, 0))
        hashes = imagehash.phash(picture, hash_size=16), imagehash.dhash(picture, hash_size=16)
        assert np.array_equal(look, np.concatenate([each.hash.ravel() for each in hashes]))


def test_pairs_are_those_of_a_search_through_all():
    seen = random_looks(300)
    for place, bits in enumerate((0, 1, 5, 12, 20, BOUND + 1, 60)):
        seen[200 + place] = turned(seen[place], bits)
    pairs, bits = near_pairs(seen)
    assert pairs.tolist() == [[place, 200 + place] for place in range(5)] and bits.tolist() == [0, 1, 5, 12, 20]
    assert like_any(seen, seen[200:207]).nonzero()[0].tolist() == [*range(5), *range(200, 207)]


def test_most_pairs_at_the_bound_are_found():
    seen = random_looks(400)
    seen[200:] = [turned(look, BOUND) for look in seen[:200]]
    assert len(near_pairs(seen)[0]) >= 190


def test_pictures_of_one_shade_look_like_nothing():
    flat = np.packbits(looks([np.full((1, 8, 8), shade, np.uint8) for shade in (0, 90, 255)]), axis=1)
    assert len(near_pairs(flat)[0]) == 0 and not like_any(flat, flat).any()
    assert len(near_pairs(flat[:0])[0]) == 0 and len(like_any(flat[:0], flat)) == 0


def test_the_cost_does_not_grow_with_the_square(monkeypatch):
    """Of two thousand pictures that are all alike, each meets a few; of many that go, a part is compared."""
    seen = np.repeat(random_looks(1), 2_000, axis=0)
    pairs, _ = near_pairs(seen)
    assert len(pairs) <= 2_000 * 16
    monkeypatch.setattr(near, "_WORK", 4_000)
    others = random_looks(1_000)
    assert like_any(seen, np.concatenate([others, seen[:1]])).all()  # the last is among those taken
    assert not like_any(seen, others).any()


@pytest.fixture
def album(tmp_path, keys):
    """Anna's picture, and copies of it: Bert's at half the size, Carla's encoded again; and others' own."""
    root = tmp_path / "album"
    lines = ["path,label,subject,split"]

    def add(name, image, person, split, **how):
        (root).mkdir(exist_ok=True)
        image.save(root / name, **how)
        lines.append(f"{name},{('cat', 'dog')[len(lines) % 2]},{person},{split}")

    whole = detailed(0)
    add("a.png", whole, "anna", "train")
    add("b.png", whole.resize((40, 40)), "bert", "test")
    add("c.jpg", whole, "carla", "train", quality=60)
    for number in range(1, 8):
        add(f"{number}.png", detailed(number), f"p{number}", "train")
    (tmp_path / "who.csv").write_text("\n".join(lines) + "\n")
    reader = get_reader("image-folder", {"root": root, "subjects": tmp_path / "who.csv", "size": 64})
    import_records(reader, tmp_path / "data", keys, n_buckets=4)
    return RecordStore.open(tmp_path / "data", keys)


def test_a_check_counts_and_names_them_by_key(album, keys):
    report = album.verify()
    a, b, c = (keys.record(name) for name in ("a.png", "b.png", "c.jpg"))
    assert report["near_copies"]["pairs"] == 3 and report["near_copies"]["pairs_across_splits"] == 2
    assert {frozenset(pair["records"]) for pair in report["near_pairs"]} == {
        frozenset(pair) for pair in ((a, b), (a, c), (b, c))
    }
    assert report["duplicate_images"] == 0
    assert [pair["bits"] for pair in report["near_pairs"]] == sorted(pair["bits"] for pair in report["near_pairs"])


def test_a_page_shows_both_pictures_of_each_pair(album, keys):
    pairs = album.verify()["near_pairs"]
    page = pairs_page(album, pairs)
    shown = re.findall(r"base64,([^']+)'><br>([0-9a-f]{32})<br>(\w+)", page)
    assert len(shown) == 6 and "no deletion reaches it" in page
    index = album.index()
    for content, key, split in shown:
        pixels = np.asarray(Image.open(io.BytesIO(b64decode(content)))).transpose(2, 0, 1)
        arrays = album.load(split, only=[key])
        assert np.array_equal(pixels, arrays.images[0])
    assert {key for _, key, _ in shown} == set(index.keys_at(np.arange(len(index)))) & {
        keys.record(name) for name in ("a.png", "b.png", "c.jpg")
    }


def test_a_plan_counts_what_stays_and_looks_like_what_goes(album, keys):
    index = album.index()
    found = what_stays(album, index.find_subject(keys.subject("anna")), [keys.subject("anna")])
    assert found.near == {"train": 1, "test": 1}
    (sentence,) = found.sentences
    assert sentence.startswith("2 staying records that look like ones that go") and "1 train, 1 test" in sentence
    everyone = np.unique(np.concatenate([index.find_subject(keys.subject(who)) for who in ("anna", "bert", "carla")]))
    assert what_stays(album, everyone, []).near == {}
    assert what_stays(album, index.find_subject(keys.subject("p3")), []).sentences == ()


def test_a_picture_that_is_equal_is_no_near_copy_too(tmp_path, keys):
    for number, label in enumerate(("cat", "dog", "cat", "dog")):
        path = tmp_path / "photos" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        scene(number // 2).save(out, "PNG")
        path.write_bytes(out.getvalue())
    import_records(
        get_reader("image-folder", {"root": tmp_path / "photos"}), tmp_path / "data", keys, holdout=0, test=0
    )
    store = RecordStore.open(tmp_path / "data", keys)
    report = store.verify()
    assert (report["duplicate_images"], report["near_copies"]["pairs"]) == (2, 0)
    found = what_stays(store, np.array([0]), [])
    assert (found.n_copies, found.n_near) == (1, 0)
