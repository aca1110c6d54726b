"""What `tmu doctor` says of the compute backend."""

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tmu.check import Check
from tmu.compute.choose import resources_of
from tmu.compute.crew import Resources
from tmu.compute.facts import facts, unlike
from tmu.compute.local import Local
from tmu.compute.ray_backend import refuse_too_few
from tmu.compute.ray_cluster import Cluster
from tmu.compute.threads import threads_apart
from tmu.errors import TmuError

if TYPE_CHECKING:
    from tmu.settings import Settings

NAME = "compute"
_SECONDS = 60.0  # in which a node must answer
_ASK = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"


def check_compute(settings: "Settings") -> Check:
    """Whether the backend of the settings can be used, and is the same on all its machines."""
    from tmu.train.lane import pick_device

    device = pick_device(settings.device).type
    try:
        if settings.compute_backend == "ray":
            return _ray(settings, device)
        places = Local(settings.compute_workers).places(10**6, resources_of(settings, device))
    except TmuError as error:
        return Check(NAME, "fail", error.what, error.hint)
    return Check(NAME, "ok", f"{settings.compute_backend} on {device}, {places} items at once{_by(settings)}")


def _by(settings: "Settings") -> str:
    return f", a training by {settings.compute_ranks} ranks" if settings.compute_ranks > 1 else ""


def _ray(settings: "Settings", device: str) -> Check:
    cluster = Cluster(settings.compute_address, settings.compute_token)
    if cluster.address is None:
        cluster.module()
        _refuse_few(settings, device, [_this_machine()])
        return Check(NAME, "ok", f"a Ray cluster of this machine alone, started when it is needed{_by(settings)}")
    with cluster.connected() as ray:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        _refuse_few(settings, device, nodes)
        found = {node["NodeManagerAddress"]: _facts_of(ray, node) for node in nodes}
    others = [f"{address}: {', '.join(unlike(facts(), there))}" for address, there in found.items() if there != facts()]
    if others:
        return Check(NAME, "fail", f"nodes differ: {'; '.join(others)}", "Install the same versions on all nodes.")
    if _asks_nobody(cluster.address):
        text = f"anybody who reaches {cluster.address} can run code there"
        return Check(NAME, "fail", text, "Start its nodes with RAY_AUTH_MODE=token; docs/compute.md.")
    return Check(NAME, "ok", f"Ray at {cluster.address}, nodes of the same versions: {len(nodes)}{_by(settings)}")


def _refuse_few(settings: "Settings", device: str, nodes: list[dict[str, Any]]) -> None:
    if settings.compute_ranks > 1:
        refuse_too_few(nodes, settings.compute_ranks, Resources(threads_apart(settings), float(device == "cuda")))


def _this_machine() -> dict[str, Any]:
    """As the only node of a cluster."""
    import torch

    resources = {"CPU": len(os.sched_getaffinity(0)), "GPU": torch.cuda.device_count()}
    return {"Alive": True, "Resources": resources}


def _facts_of(ray: Any, node: dict[str, Any]) -> dict[str, str]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    try:
        return dict(
            ray.get(ray.remote(_facts_there).options(num_cpus=0, scheduling_strategy=there).remote(), timeout=_SECONDS)
        )
    except ray.exceptions.RayError as error:  # among them: tmu is not installed there
        return {"answer": type(error).__name__}


def _facts_there() -> dict[str, str]:
    return facts()


def _asks_nobody(address: str) -> bool:
    """Whether the cluster takes a token that nobody has been given."""
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "00" * 32}
    environment.pop("RAY_AUTH_TOKEN_PATH", None)
    asked = [sys.executable, "-c", _ASK, address]
    return subprocess.run(asked, env=environment, capture_output=True, timeout=_SECONDS).returncode == 0
