"""Small made-up problems: images that a tiny network memorises but cannot generalise on perfectly."""

import torch
from torch import nn

from tmu.config import Seeds, TrainConfig, TwinConfig
from tmu.models.registry import build
from tmu.references.halves import learned_by
from tmu.references.rows import FLOOR, ReferenceRows
from tmu.train import Examples, fit, logits_of

CLASSES = 3
SHAPE = (1, 8, 8)
RECIPE = TrainConfig(epochs=2, batch_size=16, lr=0.05, precision="fp32")
MEMORISE = TrainConfig(epochs=20, batch_size=32, lr=0.1, weight_decay=0.0, precision="fp32")
TWIN = TwinConfig(train=MEMORISE.model_copy(update={"epochs": 8}))
SEEDS = Seeds.all(1)


def blobs(n: int, seed: int = 0, *, label_noise: float = 0.15, spread: float = 0.3) -> Examples:
    """`n` records of three overlapping classes: a fixed pattern each, pixel noise, some labels drawn anew.

    The noisy labels cannot be predicted, so a network that knows them has memorised them.
    """
    patterns = torch.rand(CLASSES, *SHAPE, generator=torch.Generator().manual_seed(99))
    generator = torch.Generator().manual_seed(1000 + seed)
    shown = torch.randint(0, CLASSES, (n,), generator=generator)
    images = patterns[shown] + spread * torch.randn(n, *SHAPE, generator=generator)
    redrawn = torch.rand(n, generator=generator) < label_noise
    labels = torch.where(redrawn, torch.randint(0, CLASSES, (n,), generator=generator), shown)
    keys = torch.randint(-(2**63), 2**63 - 1, (n,), generator=generator)
    return Examples((images.clamp(0, 1) * 255).round().to(torch.uint8), labels, keys)


def tiny_net(seed: int = 0, width: int = 4) -> nn.Module:
    """A residual network of a few thousand weights drawn from the seed; torch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build("small_resnet", SHAPE, CLASSES, {"width": width})


def referring_rows(
    train: Examples, subjects: torch.Tensor, holdout: Examples, pairs: int, recipe: TrainConfig, seeds: Seeds
) -> tuple[ReferenceRows, ReferenceRows]:
    """Rows of D and of the hold-out: networks of other beginnings that each learned its half of D, by person."""
    seen = learned_by(subjects, torch.ones(len(train), dtype=torch.bool), pairs, seeds.evaluate)
    answers: list[list[torch.Tensor]] = []
    for net in range(2 * pairs):
        model = tiny_net(500 + net)
        fit(model, train.take(seen[:, net]), recipe, Seeds.all(500 + net))
        answers.append([logits_of(model, part.images).log_softmax(1).clamp_min(FLOOR) for part in (train, holdout)])
    of_train, of_holdout = (torch.stack(part, 1) for part in zip(*answers, strict=True))
    never = torch.zeros(len(holdout), 2 * pairs, dtype=torch.bool)
    return (
        ReferenceRows(train.keys, train.labels, seen, of_train),
        ReferenceRows(holdout.keys, holdout.labels, never, of_holdout),
    )


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all weights and statistics."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two copies are equal bit by bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
