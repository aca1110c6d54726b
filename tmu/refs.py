"""Typed references: what travels between steps and tasks instead of tensors and images.

A reference names an artifact by `uri` and pins its content by `digest`. A `uri` is either `kind/key`, relative to the
workspace's artifact store (a local folder or S3), or `file:PATH` for a folder that a `dvc.yaml` stage owns.
References are small, JSON-ready and free of personal data.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Ref(BaseModel):
    """An artifact: where it is and what its content's digest must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    uri: str
    digest: str


class DataRef(Ref):
    """A data revision. `digest` is DVC's directory MD5 (`….dir`), as in `data.dvc`."""

    kind: Literal["data"] = "data"


class ForgetRef(Ref):
    """A forget set: the record keys (HMAC) of one request, resolved against one data revision."""

    kind: Literal["forget"] = "forget"
    data_digest: str


class ModelRef(Ref):
    """A model bundle. `weights` is the SHA-256 of `weights.safetensors`."""

    kind: Literal["model"] = "model"
    weights: str
    role: Literal["original", "gold", "twin", "unlearned"]


class StatisticsRef(Ref):
    """The sums that a model's ridge head was solved from. They lead to whoever was added since, or taken away."""

    kind: Literal["statistics"] = "statistics"


class ReferencesRef(Ref):
    """The references of one data revision: the outputs of networks on random halves of it, never their weights."""

    kind: Literal["references"] = "references"


class TwinRef(Ref):
    """The twin problem of one original model: twin model, curriculum nets, features, predictor."""

    kind: Literal["twin"] = "twin"


class AuditRef(Ref):
    """An audit: numbers (`audit.json`), figures and report."""

    kind: Literal["audit"] = "audit"
