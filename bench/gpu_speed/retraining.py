"""Retraining ResNet-18 by SalUn's protocol: as many epochs as the limit allows, and the whole from their seconds."""

import time

from bench.gpu_speed.shop import SEED, Shop, Tell
from tmu.config import Seeds
from tmu.train import logits_of

_SHARE = 0.7  # of the limit, for the epochs that are counted
_WARM = 2  # epochs that tell how many fit; the second one's seconds count, the first one warms the device up


def retraining(shop: Shop, tell: Tell) -> None:
    """Train the original of the later parts, and tell what 182 epochs take or would take."""
    data, recipe, what = shop.data, shop.sizes.suite.train, "retraining, ResNet-18, SalUn's protocol"
    whole = recipe.epochs
    marks: list[float] = []

    def mark(done: int, steps: int, numbers: dict[str, float]) -> None:
        if numbers.get("epoch", 0) > len(marks):
            shop.settle()
            marks.append(time.perf_counter())

    short = recipe.model_copy(update={"epochs": _WARM})
    shop.fit(shop.fresh(), data.train, short, Seeds.all(SEED), progress=mark)
    epoch = marks[1] - marks[0]
    epochs = max(1, min(whole, int(_SHARE * shop.limit / epoch)))
    net = shop.fresh()
    run = recipe.model_copy(update={"epochs": epochs})
    report, seconds = shop.timed(lambda: shop.fit(net, data.train, run, Seeds.all(SEED)))
    shop.original, shop.retraining = net, seconds * whole / epochs
    right = logits_of(net, data.test.images, device=shop.device).argmax(1) == data.test.labels.cpu()
    tell(what, "records", len(data.train), "")
    tell(what, f"epochs measured, of {whole}", epochs, "")
    tell(what, "seconds an epoch", seconds / epochs, "s")
    tell(what, f"records a second, {report.precision}", len(data.train) * epochs / seconds, "1/s")
    told = "measured" if epochs == whole else f"extrapolated from {epochs}"
    tell(what, f"seconds of {whole} epochs, {told}", shop.retraining, "s")
    tell(what, "test accuracy after the measured epochs", 100 * float(right.double().mean()), "%")
