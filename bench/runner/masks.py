"""The suite's forget sets, drawn once and stored beside its results: every machine measures the same ones."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.forget_sets import CrossFit, ForgetWorld, crossfit, draw
from bench.runner.made import Forgotten
from bench.runner.models import Workshop
from bench.runner.plan import in_stream, step_of
from bench.suite import Suite
from tmu.config import Seeds
from tmu.errors import RequestError
from tmu.files import digest_of, write_atomic
from tmu.train.order import hash_keys, stream


class Masks:
    """The stored masks of a suite: bool (N,) by name, in the order of the training records' keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stored: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.is_file() else {}

    def find(self, suite: Suite, name: str, data: str, n: int) -> Tensor | None:
        """The mask that was drawn with these options on this data; None where it was not."""
        entry = self.stored.get(name)
        if entry is None or entry["drawn_from"] != drawn_from(suite, name, data):
            return None
        return torch.from_numpy(np.unpackbits(np.frombuffer(bytes.fromhex(entry["mask"]), np.uint8))[:n].astype(bool))

    def known(self, suite: Suite, data: str) -> set[str]:
        """Names of the forget sets that need not be drawn again."""
        return {name for name in suite.forget_sets if self.find(suite, name, data, 0) is not None}

    def add(self, suite: Suite, name: str, data: str, mask: Tensor) -> None:
        """Store a mask."""
        packed = np.packbits(mask.numpy()).tobytes().hex()
        self.stored[name] = {"drawn_from": drawn_from(suite, name, data), "mask": packed}
        write_atomic(self.path, (json.dumps(self.stored, indent=1, sort_keys=True) + "\n").encode())


def drawn_from(suite: Suite, name: str, data: str) -> str:
    """Digest of what decides a mask: its options, the data, and the recipe of the cross-fit behind it."""
    recipe = [suite.model.model_dump(mode="json"), suite.train.model_dump(mode="json")]
    return digest_of([suite.forget_sets[name], suite.sample_seed, data, recipe])


def drawn(shop: Workshop, name: str) -> Tensor:
    """Draw a forget set; a cross-fit behind it must have been made."""
    suite, ground = shop.suite, shop.ground
    options = {key: value for key, value in suite.forget_sets[name].items() if key != "kind"}
    world = ForgetWorld(
        ground.train.to("cpu"), ground.subjects, len(ground.classes), suite.sample_seed, lambda: fitted(shop)
    )
    return draw(suite.forget_sets[name]["kind"], options, world).cpu()


def fitted(shop: Workshop) -> CrossFit:
    """The cross-fit of the training set, made once."""
    suite, seeds = shop.suite, Seeds.all(stream(shop.suite.sample_seed, "cross-fit") % 2**31)
    inputs = {
        "data": shop.ground.digest,
        "model": suite.model.model_dump(mode="json"),
        "recipe": suite.train.model_dump(mode="json"),
        "seeds": seeds.model_dump(mode="json"),
    }
    key = shop.cache.key(inputs, *shop.net_code)

    def build(folder: Path, run: dict) -> None:
        fit = shop.engine(key)
        made = crossfit(
            lambda number: shop.fresh(seeds.init, f"cross-fit {number}"),
            shop.ground.train,
            suite.train,
            seeds,
            fit,
            device=shop.device,
        )
        (folder / "crossfit.safetensors").write_bytes(
            save({name: each.contiguous() for name, each in made.state().items()})
        )

    folder = shop.cache.make("cross-fit", key, build)
    shop.engine(key).clean()
    return CrossFit.from_state(load_file(folder / "crossfit.safetensors"))


def forgotten(shop: Workshop, name: str, masks: dict[str, Tensor]) -> Forgotten:
    """The request behind a forget set's name; a deletion of the stream is drawn here: disjoint shares at random."""
    if not in_stream(name):
        return Forgotten(masks[name], masks[name])
    keys, plan = shop.ground.train.keys.cpu(), shop.suite.stream
    if plan.people:
        return _people(shop, step_of(name))
    order = hash_keys(keys, stream(shop.suite.sample_seed, "deletions")).argsort(kind="stable")
    size, step = round(plan.share * len(keys)), step_of(name)
    place = np.empty(len(keys), np.int64)
    place[order] = np.arange(len(keys))
    gone = torch.from_numpy(place < step * size)
    return Forgotten(gone & torch.from_numpy(place >= (step - 1) * size), gone)


def _people(shop: Workshop, step: int) -> Forgotten:
    """The deletion of one person: people in the order of their hashed keys."""
    suite, people = shop.suite, shop.ground.people["train"]
    everyone = people.unique()
    if shop.ground.subjects is None or len(everyone) <= suite.stream.deletions:
        raise RequestError(
            f"A stream of {suite.stream.deletions} people needs more than as many contributors.",
            "Give the reader `subjects`, or make the stream shorter.",
        )
    order = everyone[torch.from_numpy(hash_keys(everyone, stream(suite.sample_seed, "people")).argsort(kind="stable"))]
    gone = torch.isin(people, order[:step])
    first = torch.isin(people, order[: suite.stream.first]) if step > suite.stream.first else None
    return Forgotten(people == order[step - 1], gone, first)
