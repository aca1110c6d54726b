"""Whether the loader keeps up at 224 pixels: decoding and reading against the arithmetic of a step, in one process."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from bench.larger_than_memory.verbs import CLASSES, Coarse
from tmu.config import Seeds, TrainConfig
from tmu.data.decoded import Decoding
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.store import RecordStore
from tmu.models.registry import build
from tmu.train import Examples, fit
from tmu.train.source import Streamed, fed

RECORDS, SIDE, BATCH, STEPS = 1_000, 224, 32, 3
_TIMES = 5


def measured() -> dict[str, float]:
    """Milliseconds a record: decoding it once, reading it from the page cache and from the disk, learning it.

    Decoding and reading are of one thread, wall time, the median of five; a step is ResNet-18 with one thread.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        import_records(Coarse(RECORDS, SIDE), root / "data", Keys(DEMO_SECRET))
        store = RecordStore.open(root / "data", decoding=Decoding(root / "decoded", 0))
        everything = np.arange(len(store.index()))
        before = time.perf_counter()
        source = store.decoded(everything)
        decode = time.perf_counter() - before
        assert source is not None  # the bound is 0
        pictures, held = Streamed.of(source, everything), torch.from_numpy(store.at(everything).images)
        order = torch.randperm(RECORDS, generator=torch.Generator().manual_seed(0)).split(BATCH)
        found = {
            "decode once": decode / RECORDS,
            "read, page cache": _each(lambda: [pictures.gathered(rows) for rows in order]),
            "read, disk": _each(
                lambda: [pictures.gathered(rows) for rows in order], lambda: _dropped(root / "decoded")
            ),
            "gather in memory": _each(lambda: [held[rows] for rows in order]),
            "step": _step(held),
        }
        return {name: 1000 * value for name, value in found.items()} | _waited(pictures, held, order)


def _each(work: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> float:
    """Seconds a record."""
    seconds = []
    for _ in range(_TIMES):
        before()
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds) / RECORDS


def _dropped(folder: Path) -> None:
    """Have the system forget what it has read of the files."""
    for path in folder.glob("*.npy"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _step(images: torch.Tensor) -> float:
    """Processor seconds a record of forward and backward pass and update, ResNet-18, batches of 32."""
    few = images[: BATCH * STEPS]
    examples = Examples(few, torch.arange(len(few)) % CLASSES, torch.arange(len(few)))
    model = build("torchvision/resnet18", (3, SIDE, SIDE), CLASSES, {})
    started = time.process_time()
    fit(model, examples, TrainConfig(epochs=1, batch_size=BATCH, lr=0.01), Seeds(), threads=1)
    return (time.process_time() - started) / len(few)


def _waited(pictures: Streamed, held: torch.Tensor, order: Any) -> dict[str, float]:
    """The share of a loop's time that it waits for pictures, where a step takes a fiftieth of what ResNet-18 does."""
    found, pause = {}, 0.02
    for name, images in (("in memory", held), ("streamed", pictures)):
        waited, started = 0.0, time.perf_counter()
        last = started
        for _ in fed(images, order):
            waited += time.perf_counter() - last
            time.sleep(pause)
            last = time.perf_counter()
        found[f"waited, {name}"] = waited / (time.perf_counter() - started)
    return found
