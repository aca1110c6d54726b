"""The ranks of one training on the machines of a Ray cluster, which Ray Train places, starts and watches.

Ray Train's own meeting is not used: it opens a port that asks nobody. The ranks meet at a file in the workspace, as
under torchrun, with the same engine, so that the weights are those of torchrun. Nor are its checkpoints and restarts:
snapshots are the engine's, and a fresh attempt resumes from them.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer, get_device

from tmu.compute.crew import Resources
from tmu.compute.facts import compared, facts
from tmu.compute.launch import JOB, Ended, Launch, Start, exchange
from tmu.compute.rank import end_unless, leave, take_part
from tmu.compute.ray_backend import refuse_too_few
from tmu.compute.ray_cluster import Cluster
from tmu.errors import ConfigError, StorageError

_GRACE = 30.0  # seconds in which ranks that are called off may end
# restarts; the types of Ray know its older FailureConfig alone
_NEVER: dict[str, Any] = {"max_failures": 0, "controller_failure_limit": 0, "max_preemption_failures": 0}
_UNSEEN = "tmu: this node does not see the workspace"


@dataclass(frozen=True)
class RayTrain:
    """cluster: whose nodes carry the ranks; on GPUs one on each."""

    cluster: Cluster

    @contextmanager
    def ready(self, launch: Launch) -> Iterator[Start]:
        """Connected as long as the block lasts."""
        with self.cluster.connected():
            refuse_too_few(ray.nodes(), launch.ranks, Resources(launch.threads, float(launch.device == "cuda")))
            yield partial(_fit, launch)


class _NoMeeting(Backend):
    """Ranks of a node see all of its GPUs that are theirs; they meet elsewhere."""

    share_cuda_visible_devices = True


class _AtTheFile(TorchConfig):
    """Ray Train's set-up of torch, without a process group."""

    backend_cls = _NoMeeting


@contextmanager
def _fit(launch: Launch, attempt: Path) -> Iterator[Ended]:
    """Ray Train with its ranks, which end where the block is left before they have: they watch the job's file."""
    each = {"CPU": launch.threads} | ({"GPU": 1} if launch.device == "cuda" else {})
    trainer = TorchTrainer(
        _rank,
        train_loop_config={"attempt": str(attempt), "device": launch.device, "facts": facts()},
        torch_config=_AtTheFile(),
        scaling_config=ScalingConfig(num_workers=launch.ranks, use_gpu="GPU" in each, resources_per_worker=each),
        run_config=RunConfig(
            name="ray",
            storage_path=str(attempt),
            failure_config=FailureConfig(**_NEVER),
        ),
    )
    outcome: list[Exception | None] = []
    thread = threading.Thread(target=_carry_out, args=(trainer, outcome), daemon=True)
    thread.start()
    try:
        yield lambda: None if thread.is_alive() else _done(launch, outcome[0])
    finally:
        (attempt / JOB).unlink(missing_ok=True)
        thread.join(_GRACE)


def _carry_out(trainer: TorchTrainer, outcome: list[Exception | None]) -> None:
    """In a thread of its own, since the caller follows the news; so Ray leaves the caller's Ctrl-C alone, too."""
    try:
        trainer.fit()
        outcome.append(None)
    except Exception as error:
        outcome.append(error)


def _done(launch: Launch, error: Exception | None) -> bool:
    """Whether all ranks did their work. Raises what the user can mend."""
    cause = getattr(error, "controller_failure", error)
    if _UNSEEN in str(cause):
        raise ConfigError(
            "A node of the Ray cluster does not see the workspace.",
            "Keep it on a file system that all nodes mount at the same path; docs/compute.md.",
        )
    if type(cause).__name__ == "WorkerGroupStartupTimeoutError":
        raise StorageError(
            f"Other work has the places that {launch.ranks} ranks need on the Ray cluster.",
            "Wait until it has ended, and run the same command again.",
        )
    return error is None


def _rank(config: dict[str, Any]) -> None:
    """In a worker of Ray Train. Its errors are left in the folder; Ray sees and logs only that there was one."""
    attempt, rank = Path(config["attempt"]), get_context().get_world_rank()
    if not (attempt / JOB).is_file():
        raise FileNotFoundError(_UNSEEN)
    end_unless((attempt / JOB).is_file)
    failed: Exception | None = compared(config["facts"])
    if failed is None:
        os.environ |= exchange(_interface(ray.util.get_node_ip_address()))
        try:
            take_part(attempt, rank, get_device() if config["device"] == "cuda" else torch.device("cpu"))
        except Exception as error:
            failed = error
    if failed is not None:
        leave(failed, attempt, rank)
        raise RuntimeError(f"{type(failed).__name__} in rank {rank}")


def _interface(address: str) -> str | None:
    """The name of the network interface that has this address."""
    found = psutil.net_if_addrs().items()
    return next((name for name, parts in found if any(part.address == address for part in parts)), None)
