"""One rank of a training that `torchrun.py` has started: `python -m tmu.compute.rank FOLDER`."""

import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import torch

from tmu.compute.torchrun import ERROR, JOB, MEETING, NEWS
from tmu.errors import TmuError
from tmu.files import read_json, write_json
from tmu.train.ranks import Ranks, joined


@dataclass(frozen=True)
class Seat:
    """What a rank's work is given beside its job. folder: where rank 0 leaves what comes of it."""

    ranks: Ranks
    device: torch.device
    threads: int
    folder: Path


def main() -> None:
    """Meet the others and do the work; an error is left for who started the ranks."""
    attempt = Path(sys.argv[1])
    launch, rank, world = read_json(attempt / JOB), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    _end_with(launch["parent"])
    try:
        device = torch.device("cuda", rank) if launch["device"] == "cuda" else torch.device("cpu")
        if device.type == "cuda":
            torch.cuda.set_device(device)
        with joined(rank, world, attempt / MEETING, device) as ranks:
            seat = Seat(ranks, device, launch["threads"], Path(launch["folder"]))
            _named(launch["work"])(launch["job"], seat, _teller(attempt / NEWS) if rank == 0 else _silent)
    except Exception as error:
        what, hint = (error.what, error.hint) if isinstance(error, TmuError) else ("", "")
        write_json(attempt / ERROR.format(rank), {"kind": type(error).__name__, "what": what, "hint": hint})
        raise


def _named(work: str) -> Any:
    module, _, name = work.partition(":")
    return getattr(import_module(module), name)


def _teller(news: Path) -> Any:
    lines = news.open("a", buffering=1)
    return lambda *words: lines.write(json.dumps(words) + "\n")


def _silent(*_: Any) -> None:
    return


def _end_with(parent: int) -> None:
    """End where the process that wanted the training is gone, or the torchrun between the two: also after kill -9."""
    wanted, started = psutil.Process(parent), os.getppid()

    def watch() -> None:
        while wanted.is_running() and os.getppid() == started:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
