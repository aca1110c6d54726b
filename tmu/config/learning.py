"""What is learned before a deletion: the references, and the twin problem."""

from typing import Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tmu.config.base import Config
from tmu.config.train import TrainConfig

_GONE = ("cross_fit", "halves")  # keys of older files and journals


class TwinConfig(Config):
    """The twin problem (`docs/method.md`): fine-tune, features, predictor."""

    train: TrainConfig = TrainConfig(epochs=5, lr=0.05, schedule="triangle")
    max_rounds: int = Field(6, ge=1, description="rounds of `train.epochs` before the gate gives up")
    accuracy_tolerance: float = Field(0.02, gt=0, description="gate: acc(original, train) - acc(twin, hold-out)")
    confidence_tolerance: float = Field(0.05, gt=0, description="gate: difference of mean true-class confidence")
    features: tuple[str, ...] = ("distance", "adversarial", "curriculum")
    attack_steps: int = Field(5, ge=1)
    attack_epsilon: float = Field(4 / 255, gt=0, description="L-infinity radius in pixel units (0..1)")
    curriculum_epochs: int = Field(2, ge=1)
    curriculum_nets: int = Field(2, ge=1)
    neighbours: int = Field(5, ge=1)
    predictor_epochs: int = Field(200, ge=1)
    predictor_lr: float = Field(1e-2, gt=0)
    folds: int = Field(5, ge=2)

    @model_validator(mode="after")
    def _is_a_twins(self) -> "TwinConfig":
        """Raise where the twin is to stop by what it learns, or is not to be fine-tuned."""
        if self.train.early_stop:
            fault = "the twin learns the hold-out, and nothing is left to stop by; set `train.early_stop` to null"
            raise PydanticCustomError("early_stop", fault)
        if self.train.head == "ridge":
            fault = "the twin is fine-tuned from the model, and a ridge head has none; leave `train.head` out"
            raise PydanticCustomError("head", fault)
        return self

    @model_validator(mode="before")
    @classmethod
    def _without_cross_fit(cls, raw: Any) -> Any:
        """Cross-fit models were fitted for `tmu-soft`; the references took their place."""
        return {name: value for name, value in raw.items() if name not in _GONE} if isinstance(raw, dict) else raw


class ReferencesConfig(Config):
    """The references (`docs/references.md`): networks on random halves of D, of which a table of outputs is kept."""

    pairs: int = Field(2, ge=1, description="pairs of networks; each pair splits the people of D in two halves")
    inner: bool = Field(True, description="keep the answers of each network's body with a fresh head, too")
    keep: int = Field(
        16, ge=2, description="classes kept by record (the true one, the likeliest) where there are more than twice it"
    )
    most_records: int | None = Field(
        None, ge=1, description="records in the table, at most (whole shards, drawn by the seed); null: all"
    )
    renew_erased: float = Field(0.1, gt=0, le=1, description="share of D erased since the fit: the table is renewed")
    renew_days: int = Field(365, ge=1, description="age in days at which the table is renewed")

    def fitted(self) -> dict[str, Any]:
        """What determines a fitted table, JSON-ready: all but the rule of its renewal."""
        return self.model_dump(mode="json", exclude={"renew_erased", "renew_days"})
