"""Images a second at 224 pixels: the engine on ResNet-18, bf16 and channels last, as it is and compiled by torch."""

import torch
from torch import nn

from bench.gpu_speed.shop import SEED, Shop, Tell, coloured
from tmu.config import Seeds, TrainConfig
from tmu.models.registry import build
from tmu.train import Examples

_NETWORK = "torchvision/resnet18"


def eager(shop: Shop, tell: Tell) -> None:
    """As it is."""
    shop.rates["as it is"] = _measured(shop, tell, "as it is", _network(shop))


def compiled(shop: Shop, tell: Tell) -> None:
    """With the network compiled; the first training, which compiles it, is told apart. And the better of the two."""
    net = _network(shop)
    net.compile(backend=shop.sizes.backend)
    shop.rates["compiled"] = _measured(shop, tell, "compiled", net)
    better = max(shop.rates, key=lambda how: shop.rates[how])
    tell(f"224 px: engine, the better: {better}", "images a second", shop.rates[better], "1/s")


def _measured(shop: Shop, tell: Tell, how: str, net: nn.Module) -> float:
    what, examples, sizes = f"224 px: engine, {how}", _examples(shop), shop.sizes
    recipe = TrainConfig(epochs=1, batch_size=sizes.batch_size, augment="flip_shift")
    _, first = shop.timed(lambda: shop.fit(net, examples, recipe, Seeds.all(SEED)))
    long = recipe.model_copy(update={"epochs": sizes.epochs})
    report, seconds = shop.timed(lambda: shop.fit(net, examples, long, Seeds.all(SEED)))
    rate = sizes.epochs * len(examples) / seconds
    tell(what, f"images a second, {report.precision}", rate, "1/s")
    tell(what, "seconds of the first epoch, start and compiling in it", first, "s")
    if shop.device.type == "cuda":
        tell(what, "peak memory", torch.cuda.max_memory_allocated(shop.device) / 2**30, "GiB")
    return rate


def _network(shop: Shop) -> nn.Module:
    torch.manual_seed(SEED)
    if shop.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(shop.device)
    return build(_NETWORK, (3, shop.sizes.side, shop.sizes.side), len(shop.data.classes))


def _examples(shop: Shop) -> Examples:
    train = shop.data.train.take(torch.arange(shop.sizes.pictures, device=shop.device))
    return Examples(coloured(train.images, shop.sizes.side), train.labels, train.keys)
