"""One training by several processes of this machine, the ranks, which torchrun starts.

torchrun and the ranks meet at a file, not at a port, and exchange sums over loopback. A rank that dies ends the others;
a fresh torchrun then resumes from the snapshot. Its own `--max-restarts` is not used: after it, ranks were seen to hang
where they meet (torch 2.13.0).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tmu import errors
from tmu.compute.crew import TRIES, Tell
from tmu.errors import ConfigError, StorageError, TmuError
from tmu.files import read_json, write_json

JOB, NEWS, ERROR, MEETING = "job.json", "news.jsonl", "error-{}.json", "meeting"
_POLL, _GRACE = 0.2, 10.0  # seconds


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


def run_ranks(launch: Launch, folder: Path, said: Tell) -> None:
    """Have all ranks do the work; what they make they leave in `folder`. said(...): what rank 0 tells, in this thread.

    An error of ours in a rank is raised as it was. StorageError where ranks were lost again and again, ConfigError
    where there are not as many GPUs.
    """
    _refuse_too_few(launch)
    reason = ""
    for number in range(TRIES):
        attempt = folder / f"attempt-{number}"
        attempt.mkdir()
        write_json(attempt / JOB, asdict(launch) | {"parent": os.getpid(), "folder": str(folder)})
        with _torchrun(launch, attempt) as process:
            _follow(process, attempt / NEWS, said)
        if process.returncode == 0:
            return
        reason = _raise_ours(launch, attempt)
    raise StorageError(
        f"A rank of the training ended before its time, {TRIES} times{reason}.",
        "Often memory ran out: lower `compute_ranks` or `train.batch_size`. The same command resumes.",
    )


def _refuse_too_few(launch: Launch) -> None:
    import torch

    if launch.device == "cuda" and torch.cuda.device_count() < launch.ranks:
        raise ConfigError(
            f"There are {torch.cuda.device_count()} GPUs for {launch.ranks} ranks.",
            "Set `compute_ranks` to the number of GPUs at most.",
        )


@contextmanager
def _torchrun(launch: Launch, attempt: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Torchrun with its ranks, which are ended where the block is left before they have."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={launch.ranks}"),
        *("--max-restarts=0", "--rdzv-backend=c10d", f"--rdzv-endpoint={attempt / 'torchrun'}"),
        *("--rdzv-conf=store_type=file", "--local-addr=127.0.0.1", "-m", "tmu.compute.rank", str(attempt)),
    ]
    variables = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": str(launch.threads),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else a port that asks nobody
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        "NCCL_ALGO": "Ring",  # one order of sums, whatever the size
    }
    with (attempt / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=attempt, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()  # the ranks see that it is gone
                process.wait()


def _follow(process: subprocess.Popen[bytes], news: Path, said: Tell) -> None:
    """Pass on what rank 0 writes, until torchrun has ended."""
    news.touch()
    with news.open("rb") as lines:
        ended = False
        while not ended:
            ended = process.poll() is not None
            while (line := lines.readline()).endswith(b"\n"):
                said(*json.loads(line))
            lines.seek(-len(line), os.SEEK_CUR)  # one that is being written
            time.sleep(0 if ended else _POLL)


def _raise_ours(launch: Launch, attempt: Path) -> str:
    """Raise the error of ours that a rank met; else what is known of its end, for a sentence."""
    found = [attempt / ERROR.format(rank) for rank in range(launch.ranks)]
    told = [read_json(path) for path in found if path.exists()]
    for each in told:
        kind = getattr(errors, each["kind"], None)
        if isinstance(kind, type) and issubclass(kind, TmuError):
            raise kind(each["what"], each["hint"])
    return f" ({told[0]['kind']})" if told else ""
