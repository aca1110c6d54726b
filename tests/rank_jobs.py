"""What ranks do in tests: trainings of tiny networks, one of which loses a rank on its way."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import save_file
from torch import nn

from tmu.compute.rank import Seat
from tmu.config import Seeds, TrainConfig
from tmu.errors import ModelError
from tmu.train import Examples, Fit, fit

RECIPE = TrainConfig(epochs=2, batch_size=14, lr=0.05, augment="flip_shift", precision="fp32", clip_norm=5.0)


def records(number: int = 100) -> Examples:
    """Random pictures of four classes; 100 are no multiple of the batch size, and batches of 13 no multiple of two."""
    drawn = torch.Generator().manual_seed(7)
    return Examples(
        images=torch.randint(0, 256, (number, 1, 8, 8), generator=drawn, dtype=torch.uint8),
        labels=torch.randint(0, 4, (number,), generator=drawn),
        keys=torch.randint(-(2**62), 2**62, (number,), generator=drawn),
    )


def network(norm: bool) -> nn.Module:
    """A convolution and a head, with batch norm between them or without."""
    torch.manual_seed(3)
    between = [nn.BatchNorm2d(6)] if norm else []
    return nn.Sequential(nn.Conv2d(1, 6, 3), *between, nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 4))


def trained(norm: bool, **given: Any) -> tuple[nn.Module, Fit]:
    """The recipe on the records."""
    model = network(norm)
    return model, fit(model, records(), RECIPE, Seeds.all(1), threads=1, **given)


def train_twice(job: dict[str, Any], seat: Seat, tell: Any) -> None:
    """With and without batch norm; each rank leaves its weights, its history and where it listens."""
    for norm in (True, False):
        model, report = trained(norm, ranks=seat.ranks, progress=tell)
        name = f"{'norm' if norm else 'plain'}-{seat.ranks.rank}"
        save_file(model.state_dict(), seat.folder / f"{name}.safetensors", {"history": json.dumps(report.history)})
    listening = [each.laddr.ip for process in (psutil.Process(), psutil.Process(os.getppid()))
                 for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN]  # fmt: skip
    (seat.folder / f"listens-{seat.ranks.rank}").write_text("\n".join(listening))


def lose_a_rank(job: dict[str, Any], seat: Seat, tell: Any) -> None:
    """Rank 1 is killed in the middle of the first attempt's second epoch."""

    def after_step(model: nn.Module, step: int) -> None:
        mark = seat.folder / "lost"
        if seat.ranks.rank == 1 and step == 12 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    snapshot = Path(job["snapshot"])
    model, report = trained(
        True, ranks=seat.ranks, after_step=after_step, snapshot=snapshot, snapshot_seconds=0.0, progress=tell
    )
    if seat.ranks.rank == 0:
        save_file(
            model.state_dict(),
            seat.folder / "norm-0.safetensors",
            {"history": json.dumps(report.history), "resumed_at": str(report.resumed_at)},
        )


def refuse(job: dict[str, Any], seat: Seat, tell: Any) -> None:
    if seat.ranks.rank == 1:
        raise ModelError("The loss is no longer finite in epoch 1.", "Lower `lr`.")


def wait_long(job: dict[str, Any], seat: Seat, tell: Any) -> None:
    """Until somebody kills who started it; says which processes must end then."""
    tell(os.getpid(), os.getppid())
    time.sleep(600)
