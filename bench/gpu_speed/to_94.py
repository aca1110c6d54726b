"""Time to 94 % on CIFAR-10: airbench94's recipe beside the engine, on one card, with the same multi-crop answers.

Both learn the 50,000 records of the training part (here D and the hold-out) and answer for the test set. A time is a
whole training's, from pictures on the device to the last step; a first one, which warms the device up, is not counted.
"""

import statistics

import torch
from torch import Tensor, nn

from bench.gpu_speed.airbench import Given, learned, prepared
from bench.gpu_speed.airbench_net import Airbench, multi_crop
from bench.gpu_speed.plan import recipe_of_94
from bench.gpu_speed.shop import SEED, Shop, Tell, coloured
from tmu.config import Seeds
from tmu.train import Examples

AIM = 94.0
_SIDE = 32
_FACTOR = 8.0  # of the biases: 8² = 64 times as fast


def airbench94(shop: Shop, tell: Tell) -> None:
    """The recipe, several times by its own seeds."""
    train, test = sets(shop)
    what = (shop.sizes.widths, shop.sizes.plain_epochs)
    given = Given(train.images, train.labels, len(shop.data.classes), *what)
    found = []
    was = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        for run in range(shop.sizes.runs):
            torch.manual_seed(SEED + run)
            net, seconds = shop.timed(lambda: learned(given))
            found.append((seconds, _right(multi_crop(net, prepared(test.images)), test.labels)))
    finally:
        torch.backends.cudnn.benchmark = was
    counted = found[1:]
    tell("time to 94 %: airbench94's recipe", "trainings", len(counted), "")
    tell("time to 94 %: airbench94's recipe", "seconds of a training", statistics.fmean(s for s, _ in counted), "s")
    tell("time to 94 %: airbench94's recipe", "test accuracy", statistics.fmean(a for _, a in counted), "%")
    shop.plain = statistics.fmean(seconds for seconds, _ in counted)


def engine(shop: Shop, tell: Tell) -> None:
    """Trainings of rising length, until one reaches the aim."""
    train, test = sets(shop)
    shop.fit(_network(shop, train), train, recipe_of_94(1), Seeds.all(SEED))
    for epochs in shop.sizes.lengths:
        net = _network(shop, train)
        _, seconds = shop.timed(
            lambda net=net, epochs=epochs: shop.fit(net, train, recipe_of_94(epochs), Seeds.all(SEED))
        )
        reached = _right(_answers(net, test), test.labels)
        what = f"time to 94 %: engine, {epochs} epochs"
        tell(what, "seconds of a training", seconds, "s")
        tell(what, "test accuracy", reached, "%")
        if reached >= AIM:
            tell("time to 94 %: engine", "seconds of the first training that reaches it", seconds, "s")
            if shop.plain:
                tell("time to 94 %: engine", "over airbench94's recipe", seconds / shop.plain, "x")
            return
    tell("time to 94 %: engine", "trainings that reached it", 0, "")


def sets(shop: Shop) -> tuple[Examples, Examples]:
    """The official training part and the test set, in colour, at 32 pixels."""
    parts = [shop.data.train, shop.data.holdout]
    images, labels, keys = (torch.cat([getattr(each, name) for each in parts]) for name in ("images", "labels", "keys"))
    test = shop.data.test
    return Examples(coloured(images, _SIDE), labels, keys), Examples(
        coloured(test.images, _SIDE), test.labels, test.keys
    )


def _network(shop: Shop, train: Examples) -> Airbench:
    torch.manual_seed(SEED)
    net = Airbench(len(shop.data.classes), shop.sizes.widths, factor=_FACTOR).to(shop.device)
    return net.see(train.images[:5000].float() / 255)


def _answers(net: nn.Module, test: Examples) -> Tensor:
    with torch.autocast(test.labels.device.type, torch.bfloat16, enabled=test.labels.is_cuda):
        return multi_crop(net, (test.images.float() / 255).contiguous(memory_format=torch.channels_last))


def _right(logits: Tensor, labels: Tensor) -> float:
    return 100 * float((logits.argmax(1) == labels).double().mean())
