"""One training by several processes, the ranks. A rank that is lost ends the others, and all begin again.

Who starts them: `torchrun.py` on this machine, `ray_train.py` on a Ray cluster. They meet at a file, and what goes
between them and who asked is in files of one folder: the job, the news of rank 0, errors. So the rank's side is the
same under both (`rank.py`).
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tmu import errors
from tmu.compute.crew import TRIES, Tell
from tmu.errors import StorageError, TmuError
from tmu.files import read_json, write_json

JOB, NEWS, ERROR, MEETING = "job.json", "news.jsonl", "error-{}.json", "meeting"
_POLL = 0.2  # seconds

Ended = Callable[[], bool | None]  # None while ranks run; then whether all of them did their work
Start = Callable[[Path], AbstractContextManager[Ended]]  # of an attempt's folder; ranks end with the block


@dataclass(frozen=True)
class Launch:
    """work: `module:function`, called in each rank as work(job, seat, tell) (see `rank.py`). job: JSON. device: `cpu`
    or `cuda`; on GPUs each rank has one. threads: of a rank.
    """

    work: str
    job: dict[str, Any]
    ranks: int
    device: str
    threads: int


class Starter(Protocol):
    """Who starts ranks."""

    def ready(self, launch: Launch) -> AbstractContextManager[Start]:
        """What starts the ranks of an attempt. Raises ConfigError where there is no room for so many, ever."""
        ...


def run_ranks(launch: Launch, folder: Path, said: Tell, by: Starter) -> None:
    """Have all ranks do the work; what they make they leave in `folder`. said(...): what rank 0 tells, in this thread.

    An error of ours in a rank is raised as it was. StorageError where ranks were lost again and again, ConfigError
    where so many cannot be started.
    """
    reason = ""
    with by.ready(launch) as start:
        for number in range(TRIES):
            attempt = folder / f"attempt-{number}"
            attempt.mkdir()
            write_json(attempt / JOB, asdict(launch) | {"parent": os.getpid(), "folder": str(folder)})
            with start(attempt) as ended:
                done = _follow(ended, attempt / NEWS, said)
            if done:
                return
            reason = _raise_ours(launch, attempt)
    raise StorageError(
        f"A rank of the training ended before its time, {TRIES} times{reason}.",
        "Often memory ran out: lower `compute_ranks` or `train.batch_size`. The same command resumes.",
    )


def exchange(interface: str | None) -> dict[str, str]:
    """Variables of a rank's environment: sums go over this interface, and in one order, whatever their size."""
    names = {name: interface for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if interface}
    return names | {"NCCL_ALGO": "Ring"}


def _follow(ended: Ended, news: Path, said: Tell) -> bool:
    """Pass on what rank 0 writes, until the ranks have ended; whether all did their work."""
    news.touch()
    with news.open("rb") as lines:
        done = None
        while done is None:
            done = ended()
            while (line := lines.readline()).endswith(b"\n"):
                said(*json.loads(line))
            lines.seek(-len(line), os.SEEK_CUR)  # one that is being written
            time.sleep(0 if done is not None else _POLL)
    return done


def _raise_ours(launch: Launch, attempt: Path) -> str:
    """Raise the error of ours that a rank met; else what is known of its end, for a sentence."""
    found = [attempt / ERROR.format(rank) for rank in range(launch.ranks)]
    told = [read_json(path) for path in found if path.exists()]
    for each in told:
        kind = getattr(errors, each["kind"], None)
        if isinstance(kind, type) and issubclass(kind, TmuError):
            raise kind(each["what"], each["hint"])
    return f" ({told[0]['kind']})" if told else ""
