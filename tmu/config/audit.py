"""The audit and its gate."""

from typing import Literal

from pydantic import Field

from tmu.config.base import Config


class AuditConfig(Config):
    """What the audit computes and what its gate allows."""

    bootstrap: int = Field(1000, ge=100, description="resamples for the intervals")
    batch_size: int = Field(512, ge=1)
    utility_drop_pct: float = Field(2.0, ge=0, description="gate: test accuracy may fall this far below the gold's")
    far_points: float = Field(5.0, ge=0, description="gate: points beyond the most extreme gold that count as far")
    share_closed: float = Field(0.25, ge=0, le=1, description="gate: least share of the way to the floor")
    share_left: float = Field(0.25, ge=0, le=1, description="without golds: most of the original's evidence left")
    golds: bool = Field(False, description="pay for retrained golds; otherwise the references' table is the proof")
    inconclusive: Literal["serve", "wait", "retrain"] = Field(
        "serve", description="what follows where even the original cannot be told from a model that never saw them"
    )
    sample: int = Field(
        2000, ge=100, description="without golds: never-seen records looked at, at least, and half as many who stay"
    )
    probes: bool = Field(True, description="look into the models: fresh head, relearning, residual knowledge")
    head_records: int = Field(2000, ge=20, description="retain records on which the fresh heads are fitted, at most")
    probe_records: int = Field(128, ge=2, description="forget records that relearning and residual knowledge use")
    relearn_steps: int = Field(30, ge=1, description="steps after which relearning gives up")
