"""Run the parts in order, each within its limit; store and show what they found."""

import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bench import results
from bench.gpu_speed import deletions, profile, retraining, throughput, to_94
from bench.gpu_speed.limit import Cut, limited
from bench.gpu_speed.plan import MINUTES, SUITE, limits, sizes_of
from bench.gpu_speed.shop import SEED, Missing, Shop, Tell
from bench.runner.ground import Ground, ground_file, load_ground
from bench.speed.page import render
from bench.stamp import stamp
from tmu.data.records import SPLITS
from tmu.errors import ConfigError
from tmu.train.lane import pick_device

Part = Callable[[Shop, Tell], None]


def start(home: Path, *, toy: bool = False, minutes: float | None = None, device: str = "auto") -> dict[str, Any]:
    """Measure all parts and store their rows; returns a summary. home: folder of the bench's caches.

    Raises ConfigError without a GPU, but for the toy.
    """
    on = pick_device(device)
    _refuse_no_gpu(on, toy=toy)
    name, folder = (f"{SUITE}-toy", home / f"{SUITE}-toy" / "results") if toy else (SUITE, results.FOLDER)
    began, rows = time.perf_counter(), list[dict[str, Any]]()
    shop, may_take = Shop(sizes_of(toy=toy), on), limits(minutes or MINUTES, toy=toy)
    importlib.import_module("torch._dynamo")  # optimisers load it; no part is to be cut while it does

    def tell(method: str, metric: str, value: float, unit: str) -> None:
        rows.append({"method": method, "metric": metric, "value": float(value), "unit": unit})

    failed = dict[str, str]()
    for part, work in {"data": _data(home), **PARTS}.items():
        shop.limit = may_take[part]
        if why := _run(part, work, shop, tell):
            failed[part] = why
    tell("all", "seconds of the suite", time.perf_counter() - began, "s")
    page = _stored(name, folder, shop, rows, minutes)
    return {
        "suite": name,
        "rows": len(rows),
        "seconds": time.perf_counter() - began,
        "failed": failed,
        "results": str(folder / f"{name}.parquet"),
        "page": str(page),
    }


PARTS: dict[str, Part] = {
    "airbench94": to_94.airbench94,
    "engine to 94 %": to_94.engine,
    "retraining": retraining.retraining,
    "references": deletions.references,
    "twin": deletions.twin,
    "deletions": deletions.deletions,
    "224 px": throughput.eager,
    "profile": profile.top_ten,
    "224 px, compiled": throughput.compiled,
}


def _run(name: str, part: Part, shop: Shop, tell: Tell) -> str | None:
    """Run one part; why it failed, or None. Being cut or left out is told in a row, and is no failure."""
    began, what = time.perf_counter(), f"all: part {name}"
    print(f"{name}: at most {shop.limit:.0f} s", file=sys.stderr, flush=True)
    try:
        with limited(shop.limit):
            part(shop, tell)
    except Cut:
        tell(what, "cut at its limit", 1, "")
    except Missing as missing:
        tell(what, f"left out, for it needs the part {missing}", 1, "")
    except Exception as error:  # such as a GPU without memory: what the other parts found still counts
        tell(what, f"failed: {type(error).__name__}", 1, "")
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    finally:
        tell(what, "seconds", time.perf_counter() - began, "s")
        tell(what, "limit", shop.limit, "s")
    return None


def _data(home: Path) -> Part:
    def read(shop: Shop, tell: Tell) -> None:
        shop.ground = _part_of(load_ground(ground_file(shop.sizes.suite, home), str(shop.device)), shop.sizes.most)

    return read


def _part_of(ground: Ground, most: int | None) -> Ground:
    """The first records of each split; None: all."""
    if most is None:
        return ground
    parts = {split: getattr(ground, split) for split in SPLITS}
    few = {
        split: part.take(torch.arange(min(most, len(part)), device=part.labels.device)) for split, part in parts.items()
    }
    return replace(ground, **few, people={split: whose[:most] for split, whose in ground.people.items()}, subjects=None)


def _stored(name: str, folder: Path, shop: Shop, rows: list[dict[str, Any]], minutes: float | None) -> Path:
    where = torch.cuda.get_device_name(shop.device) if shop.device.type == "cuda" else "the processor"
    dataset = shop.sizes.suite.dataset
    command = f"python -m bench {SUITE}" + (f" --minutes {minutes:g}" if minutes else "")
    command += " --toy" if name != SUITE else ""
    common = {"dataset": dataset, "forget_set": where, "seed": SEED, "command": command, "seconds": rows[-1]["value"]}
    common |= stamp(threads=torch.get_num_threads())
    results.drop(name, lambda row: (row["dataset"], row["forget_set"]) == (dataset, where), folder)
    results.add(name, [{**common, **row} for row in rows], folder)
    return render(folder, name, f"python -m bench {SUITE}")


def _refuse_no_gpu(device: torch.device, *, toy: bool) -> None:
    if toy or (device.type == "cuda" and torch.cuda.is_available()):
        return
    cause = "and torch sees none on this machine" if torch.version.cuda else "and torch is installed without CUDA here"
    raise ConfigError(
        f"The suite `{SUITE}` measures a GPU, {cause}.",
        "Run it on a machine with an NVIDIA card and a build of torch for it, or see it at toy size: add --toy.",
    )
