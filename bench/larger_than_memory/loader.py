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
from tmu.train.source import Pictures, Streamed, taken

RECORDS, SIDE, BATCH, STEPS = 1_000, 224, 32, 3
_TIMES = 5


def measured() -> dict[str, float]:
    """Milliseconds a record: decoding it once, reading it, learning it; and the same steps, streamed over in memory.

    Decoding and reading are of one thread: processor time, and wall time from the disk; the median of five. A step is
    ResNet-18 with one thread, processor time.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        import_records(Coarse(RECORDS, SIDE), root / "data", Keys(DEMO_SECRET))
        store = RecordStore.open(root / "data", decoding=Decoding(root / "decoded", 0))
        everything = np.arange(len(store.index()))
        before = time.thread_time()
        source = store.decoded(everything)
        decode = time.thread_time() - before
        assert source is not None  # the bound is 0
        files, held = Streamed.of(source, everything), torch.from_numpy(store.at(everything).images)
        order = torch.randperm(RECORDS, generator=torch.Generator().manual_seed(0)).split(BATCH)
        step = {name: _step(images) for name, images in (("files", files), ("memory", held))}
        found = {
            "decode once": decode / RECORDS,
            "read, page cache": _each(lambda: [files.gathered(rows) for rows in order], time.thread_time),
            "read, disk": _each(
                lambda: [files.gathered(rows) for rows in order], time.perf_counter, lambda: _dropped(root / "decoded")
            ),
            "gather in memory": _each(lambda: [held[rows] for rows in order], time.thread_time),
            "step": step["memory"],
        }
        found = {name: 1000 * value for name, value in found.items()}
        return found | {"step, streamed over in memory": step["files"] / step["memory"]}


def _each(work: Callable[[], Any], clock: Callable[[], float], before: Callable[[], Any] = lambda: None) -> float:
    """Seconds a record."""
    seconds = []
    for _ in range(_TIMES):
        before()
        started = clock()
        work()
        seconds.append(clock() - started)
    return median(seconds) / RECORDS


def _dropped(folder: Path) -> None:
    """Have the system forget what it has read of the files."""
    for path in folder.glob("*.npy"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _step(images: Pictures) -> float:
    """Processor seconds a record of forward and backward pass and update, ResNet-18, batches of 32."""
    rows = torch.arange(BATCH * STEPS)
    examples = Examples(taken(images, rows), rows % CLASSES, rows)
    model = build("torchvision/resnet18", (3, SIDE, SIDE), CLASSES, {})
    started = time.process_time()
    fit(model, examples, TrainConfig(epochs=2, batch_size=BATCH, lr=0.01), Seeds(), threads=1)
    return (time.process_time() - started) / (2 * len(rows))
