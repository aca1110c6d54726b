"""Views by torchvision: of the record alone bit for bit, as torchvision's own transforms change images, and refused."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.config import TrainConfig
from tmu.errors import ConfigError
from tmu.train import Examples, fit
from tmu.train.batch import soft_cross_entropy
from tmu.train.draws import draw, level
from tmu.train.order import augment, view_bits
from tmu.train.randaugment import OPERATIONS
from tmu.train.views import views_of

STEPS = ("crop", "flip", "randaugment", "colour")
KEYS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=10, unique=True)


def _images(n: int, channels: int = 3, height: int = 12, width: int = 17) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator)


def _recipe(*steps: str, **options) -> TrainConfig:
    return TrainConfig(augment=list(steps), **options)


@pytest.mark.parametrize("steps", [*((step,) for step in STEPS), STEPS])
@pytest.mark.parametrize("channels", [1, 3])
@settings(max_examples=8)
@given(KEYS, st.data(), st.integers(0, 2**31), st.integers(0, 50))
def test_removal_leaves_every_other_view_bit_equal(steps, channels, keys, data, seed, epoch):
    rows = data.draw(st.lists(st.sampled_from(range(len(keys))), unique=True, min_size=1))
    images, keys = _images(len(keys), channels), torch.tensor(keys)
    whole = views_of(images, view_bits(keys, seed, epoch), _recipe(*steps))
    part = views_of(images[rows], view_bits(keys[rows], seed, epoch), _recipe(*steps))
    assert torch.equal(part, whole[rows])
    assert whole.shape == images.shape
    assert float(whole.min()) >= 0 and float(whole.max()) <= 1


def _seen(examples, recipe) -> dict[tuple[int, int], bytes]:
    """Views by key and epoch, as an objective meets them."""
    seen = {}

    def watch(model, batch):
        epoch = int(batch.done * recipe.epochs)
        for key, view in zip(examples.keys[batch.rows].tolist(), batch.views.contiguous(), strict=True):
            seen[key, epoch] = view.numpy().tobytes()
        return soft_cross_entropy(model, batch)

    fit(tiny_net(), examples, recipe, SEEDS, objective=watch)
    return seen


def test_a_gold_sees_the_originals_views():
    examples = blobs(50)
    forgotten = torch.zeros(50, dtype=torch.bool).index_fill_(0, torch.tensor([0, 7, 31]), True)
    recipe = RECIPE.model_copy(update={"augment": STEPS})
    original, gold = _seen(examples, recipe), _seen(examples.take(~forgotten), recipe)
    assert len(gold) == 2 * 47
    assert all(original[key] == view for key, view in gold.items())
    assert len(set(original.values())) > 90  # they differ by record and epoch


@pytest.mark.parametrize("kind", ["none", "shift", "flip_shift"])
def test_the_words_give_the_views_that_they_gave(kind):
    images, bits = _images(20), view_bits(torch.arange(20), 0, 0)
    assert torch.equal(views_of(images, bits, TrainConfig(augment=kind)), augment(images.float() / 255, bits, kind))


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@pytest.mark.parametrize(("channels", "strength"), [(1, 9), (3, 9), (3, 30)])
def test_each_operation_is_torchvisions(name, channels, strength):
    theirs = {"saturation": "Color", "move x": "TranslateX", "move y": "TranslateY", "autocontrast": "AutoContrast"}
    kind = theirs.get(name, name.title().replace(" ", ""))
    transform, images = v2.RandAugment(magnitude=strength), _images(6, channels)
    magnitudes, signed = transform._AUGMENTATION_SPACE[kind]
    for sign in (1, -1) if signed else (1,):
        found = magnitudes(31, *images.shape[-2:])
        magnitude = 0.0 if found is None else sign * float(found[strength])
        expected = [
            transform._apply_image_or_video_transform(image, kind, magnitude, transform.interpolation, transform._fill)
            for image in images
        ]
        ours = OPERATIONS[name](images, sign * strength / 30)
        assert (ours.int() - torch.stack(expected).int()).abs().max() <= 1


def test_crops_lie_within_their_bounds_and_differ():
    """An image whose pixels tell their place: columns from 0 to 240 in red, rows in green."""
    steps = torch.linspace(0, 240, 41)
    ramp = torch.stack([steps.expand(41, 41), steps[:, None].expand(41, 41), torch.zeros(41, 41)])
    images = ramp.round().to(torch.uint8).expand(300, 3, 41, 41)
    views = views_of(images, view_bits(torch.arange(300), 0, 0), _recipe("crop", crop_area=0.3)) * 255
    wide, high = ((views[:, axis].amax((1, 2)) - views[:, axis].amin((1, 2))) / 240 for axis in (0, 1))
    areas, ratios = wide * high, (wide * 40 + 1) / (high * 40 + 1)
    assert 0.22 < float(areas.min()) < 0.4 and 0.85 < float(areas.max()) <= 1.001
    assert 0.7 < float(ratios.min()) < 0.85 and 1.2 < float(ratios.max()) < 1.45
    assert len({tuple(view.flatten().tolist()) for view in views}) > 250  # large crops can be the same


def test_half_are_mirrored():
    images, bits = _images(400), view_bits(torch.arange(400), 0, 0)
    views = (views_of(images, bits, _recipe("flip")) * 255).round().to(torch.uint8)
    same, mirrored = ((views == each).all(3).all(2).all(1) for each in (images, images.flip(-1)))
    assert bool((same ^ mirrored).all())
    assert 0.4 < float(mirrored.float().mean()) < 0.6


def test_colours_change_by_torchvisions_functions():
    images, bits = _images(30), view_bits(torch.arange(30), 0, 0)
    views = (views_of(images, bits, _recipe("colour", colour=0.3)) * 255).round().to(torch.uint8)
    for row, image in enumerate(images):
        bright, contrast, saturation = (1 + 0.3 * float(level(bits, number)[row]) for number in (4, 5, 6))
        expected = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(image, bright), contrast), saturation)
        assert (views[row].int() - expected.int()).abs().max() <= 1


@given(st.integers(0, 2**63 - 1), st.integers(0, 40), st.integers(1, 1000))
def test_draws_agree_with_plain_integers(bits, number, below):
    mask = 2**64 - 1
    z = (bits + (number + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    z ^= z >> 31
    assert int(draw(torch.tensor([bits]), number, below)) == (z & (2**63 - 1)) % below


@pytest.mark.parametrize("step", ["colour", "randaugment"])
def test_what_changes_colours_refuses_other_channels(step):
    some = blobs(8)
    images = some.images.expand(-1, 4, -1, -1)
    with pytest.raises(ConfigError, match=f"`{step}` changes colours, and the images have 4 channels"):
        fit(tiny_net(), Examples(images, some.labels, some.keys), _recipe(step), SEEDS)


def test_each_step_reaches_the_model():
    def run(*steps):
        net = tiny_net()
        fit(net, blobs(32), RECIPE.model_copy(update={"augment": steps or "none", "epochs": 1}), SEEDS)
        return weights_of(net)

    found = [run(), *(run(step) for step in STEPS)]
    assert all(not same_weights(first, second) for i, first in enumerate(found) for second in found[:i])
