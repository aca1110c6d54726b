"""Where a step's time goes: the ten operations of a ResNet-18 step that take longest, by `torch.profiler`."""

import torch
from torch.profiler import ProfilerActivity, profile

from bench.gpu_speed.shop import SEED, Shop, Tell
from tmu.config import Seeds

_TOP = 10


def top_ten(shop: Shop, tell: Tell) -> None:
    """Share and milliseconds of a step by operation: of the GPU's time, or of the processor's without one."""
    recipe, steps = shop.sizes.suite.train, shop.sizes.steps
    few = shop.data.train.take(torch.arange(min(steps * recipe.batch_size, len(shop.data.train)), device=shop.device))
    once = recipe.model_copy(update={"epochs": 1})
    net = shop.fresh()
    taken = shop.fit(net, few, once, Seeds.all(SEED)).steps
    on_gpu = shop.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as seen:
        shop.fit(net, few, once, Seeds.all(SEED))
        shop.settle()
    time_of = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    spent = {each.key: getattr(each, time_of) for each in seen.key_averages() if each.key.startswith("aten::")}
    whole = sum(spent.values()) or 1.0
    for place, name in enumerate(sorted(spent, key=lambda name: -spent[name])[:_TOP], 1):
        what = f"profile of a step, {place:2}: {name}"
        tell(what, "share of the time of all operations", 100 * spent[name] / whole, "%")
        tell(what, "time in a step", spent[name] / 1000 / taken, "ms")
