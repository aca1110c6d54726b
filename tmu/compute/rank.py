"""One rank of a training; under torchrun it is the process `python -m tmu.compute.rank FOLDER`."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import torch

from tmu.compute.launch import ERROR, JOB, MEETING, NEWS
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
    """Take part as torchrun's environment says."""
    attempt, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    launch = read_json(attempt / JOB)
    wanted, started = psutil.Process(launch["parent"]), os.getppid()
    end_unless(lambda: wanted.is_running() and os.getppid() == started)  # the parent, or torchrun: also after kill -9
    try:
        take_part(attempt, rank, torch.device("cuda", rank) if launch["device"] == "cuda" else torch.device("cpu"))
    except Exception as error:
        leave(error, attempt, rank)
        raise


def take_part(attempt: Path, rank: int, device: torch.device) -> None:
    """Meet the others and do the work."""
    launch = read_json(attempt / JOB)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with joined(rank, launch["ranks"], attempt / MEETING, device) as ranks:
        seat = Seat(ranks, device, launch["threads"], Path(launch["folder"]))
        _named(launch["work"])(launch["job"], seat, _teller(attempt / NEWS) if rank == 0 else _silent)


def leave(error: Exception, attempt: Path, rank: int) -> None:
    """An error, for who started the ranks: one of ours whole, of another its kind."""
    what, hint = (error.what, error.hint) if isinstance(error, TmuError) else ("", "")
    write_json(attempt / ERROR.format(rank), {"kind": type(error).__name__, "what": what, "hint": hint})


def end_unless(wanted: Callable[[], bool]) -> None:
    """End this process as soon as nobody wants its work any more."""

    def watch() -> None:
        while wanted():
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _named(work: str) -> Any:
    module, _, name = work.partition(":")
    return getattr(import_module(module), name)


def _teller(news: Path) -> Any:
    lines = news.open("a", buffering=1)
    return lambda *words: lines.write(json.dumps(words) + "\n")


def _silent(*_: Any) -> None:
    return


if __name__ == "__main__":
    main()
