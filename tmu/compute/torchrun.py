"""The ranks of one training on this machine, which torchrun starts.

torchrun and the ranks meet at a file, not at a port, and exchange sums over loopback. A rank that dies ends the others;
a fresh torchrun then resumes from the snapshot. Its own `--max-restarts` is not used: after it, ranks were seen to hang
where they meet (torch 2.13.0).
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tmu.compute.launch import Ended, Launch, Start, exchange
from tmu.errors import ConfigError

_GRACE = 10.0  # seconds


class Torchrun:
    """As many ranks as asked for; on GPUs one on each."""

    @contextmanager
    def ready(self, launch: Launch) -> Iterator[Start]:
        """Starts torchrun."""
        _refuse_too_few(launch)
        yield partial(_torchrun, launch)


def _refuse_too_few(launch: Launch) -> None:
    import torch

    if launch.device == "cuda" and torch.cuda.device_count() < launch.ranks:
        raise ConfigError(
            f"There are {torch.cuda.device_count()} GPUs for {launch.ranks} ranks.",
            "Set `compute_ranks` to the number of GPUs at most.",
        )


@contextmanager
def _torchrun(launch: Launch, attempt: Path) -> Iterator[Ended]:
    """Torchrun with its ranks, which are ended where the block is left before they have."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={launch.ranks}"),
        *("--max-restarts=0", "--rdzv-backend=c10d", f"--rdzv-endpoint={attempt / 'torchrun'}"),
        *("--rdzv-conf=store_type=file", "--local-addr=127.0.0.1", "-m", "tmu.compute.rank", str(attempt)),
    ]
    variables = exchange("lo") | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": str(launch.threads),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else a port that asks nobody
    }
    with (attempt / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=attempt, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield lambda: None if process.poll() is None else process.returncode == 0
        finally:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()  # the ranks see that it is gone
                process.wait()
