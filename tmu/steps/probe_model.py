"""Probe: what is found inside one model, beyond its outputs; made once a model and forget set."""

from functools import partial
from pathlib import Path
from typing import Any

from tmu.audit.probes.probe import probe
from tmu.audit.probes.probed import Probed
from tmu.compute.threads import threads_of
from tmu.config import Params, TrainConfig
from tmu.models.registry import module_of
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.loading import load_model
from tmu.steps.making import identity_of, lane_of, make
from tmu.train import Examples, fit
from tmu.train.lane import pick_device
from tmu.workspace import Workspace

_FILE = "probed.safetensors"
_CONFIG = ("batch_size", "head_records", "probe_records", "relearn_steps")


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name))


def probe_model(
    workspace: Workspace,
    data: DataRef,
    forget: ForgetRef,
    original: ModelRef,
    model: ModelRef,
    parts: dict[str, Examples],
    params: Params,
) -> Probed:
    """Fresh head, relearning and residual knowledge of `model`, found or made.

    parts: the audit's sets (`audit_sets`) of the same data and forget set. The artifact holds numbers of the forget
    records, without keys: protect and remove it like the models.
    """
    identity = identity_of(
        "probes",
        code_of(params),
        data=data.digest,
        forget=forget.digest,
        original=original.weights,
        model=model.weights,
        config=params.audit.model_dump(mode="json", include=set(_CONFIG)),
        seed=params.seed,
        lane=lane_of(workspace, TrainConfig(precision="fp32")),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        device = pick_device(workspace.settings.device)
        probed = probe(
            load_model(workspace, model)[0],
            load_model(workspace, original)[0],
            parts["forget"],
            parts["retain"],
            params.audit,
            params.seed,
            partial(fit, device=device, threads=threads_of(workspace)),  # seconds: no snapshot
            device,
        )
        probed.save(folder / _FILE)

    _, folder = make(workspace, "probes", identity, build)
    return Probed.load(folder / _FILE)
