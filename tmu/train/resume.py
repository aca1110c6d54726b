"""How a run that was killed goes on: what it writes into its snapshot, and what it takes from it."""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tmu.files import digest_of
from tmu.train.ema import copied, put
from tmu.train.run import Run
from tmu.train.snapshot import load_snapshot, save_snapshot
from tmu.train.source import Streamed


def fingerprint_of(run: Run) -> str:
    """Names this very run by all that enters it, so that another run's snapshot is never resumed.

    The number of threads enters too: sums in another order are other bytes. Objectives and hooks are told apart
    by name alone, samplers by their first batches.
    """
    sets = {"examples": run.examples} | ({} if run.held is None else {"held": run.held})
    given = {f"{kind}.{name}": value for kind, each in sets.items() for name, value in vars(each).items()}
    given = {name: value for name, value in given.items() if value is not None}
    first = run.sampler(0)
    given |= {"first batches": torch.cat(first), "sizes": torch.tensor([len(rows) for rows in first])}
    given |= {f"model.{name}": value for name, value in run.model.state_dict().items()}
    tensors = {name: _sha256(value) for name, value in given.items()}
    calls = [getattr(part, "__qualname__", type(part).__qualname__) for part in (run.objective, run.after_step)]
    lane = [run.precision, run.examples.labels.device.type, torch.get_num_threads()]
    lane += [run.ranks.world] if run.ranks else []
    return digest_of([run.config.digest(), run.seeds.digest(), lane, calls, tensors])


def _sha256(value: Tensor | Streamed) -> str:
    if isinstance(value, Streamed):
        return value.digest()
    return hashlib.sha256(value.detach().cpu().contiguous().view(-1).numpy().data).hexdigest()


def save(run: Run, path: Path, fingerprint: str) -> None:
    """Write the run's state after a finished step."""
    totals = None if run.totals is None else run.totals.tolist()
    counters: dict[str, Any] = {"fingerprint": fingerprint, "step": run.step, "history": run.history, "totals": totals}
    kept = {"average": run.average.tensors if run.average else {}, "best": run.best or {}}
    save_snapshot(path, run.model, run.optimiser, counters, kept)


def resume(run: Run, path: Path, fingerprint: str) -> int:
    """Put the run where its snapshot is; the steps that are done, 0 where none of this very run is there."""
    counters, kept = load_snapshot(path, run.model, run.optimiser, fingerprint)
    if counters is None:
        return 0
    if run.average:
        put(run.average.tensors, kept["average"])
    if kept.get("best"):
        run.best = copied(run.model.state_dict())
        put(run.best, kept["best"])
    run.step, run.history = counters["step"], counters["history"]
    if counters["totals"] is not None:
        run.totals = torch.tensor(counters["totals"], dtype=torch.float64, device=run.examples.labels.device)
    return run.step
