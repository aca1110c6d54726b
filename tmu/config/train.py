"""The recipe: how a model is trained."""

from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tmu.config.base import Grown

Word = Literal["none", "shift", "flip_shift"]
Step = Literal["crop", "flip", "colour", "randaugment"]
_WORDS = get_args(Word)
_NOT_SOLVED = ("augment", "balance", "ema", "early_stop", "label_smoothing", "clip_norm")  # by a ridge head
_OF_STEP: dict[str, Step] = {
    "crop_area": "crop",
    "colour": "colour",
    "operations": "randaugment",
    "strength": "randaugment",
}


class TrainConfig(Grown):
    """One run of the training engine (`docs/training.md`)."""

    later: ClassVar[tuple[str, ...]] = (
        *("optimiser", "backbone_lr", "decay", "balance", "ema", "early_stop", "holdout_records"),
        *("crop_area", "colour", "operations", "strength", "head", "ridge"),
    )

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=2)
    optimiser: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0, description="peak learning rate; SGD has Nesterov momentum")
    backbone_lr: float = Field(1.0, ge=0, le=1, description="factor of the rate below the head; 0: frozen")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD; AdamW's first beta")
    weight_decay: float = Field(5e-4, ge=0)
    decay: Literal["all", "weights"] = Field("all", description="weights: no decay on biases and normalisation")
    schedule: Literal["triangle", "cosine", "warmup_cosine", "constant"] = "triangle"
    warmup: float = Field(0.2, ge=0, le=1, description="share of the steps that raise the rate (triangle, warmup_...)")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    balance: Literal["none", "weights", "sampling"] = Field("none", description="how rare classes are made up for")
    augment: Word | tuple[Step, ...] = "none"
    crop_area: float = Field(0.25, gt=0, le=1, description="crop: least share of the image's area")
    colour: float = Field(0.4, gt=0, le=1, description="colour: largest change of brightness, contrast, saturation")
    operations: int = Field(2, ge=1, le=8, description="randaugment: operations on a record")
    strength: int = Field(9, ge=0, le=30, description="randaugment: their strength, of 30")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    clip_norm: float | None = Field(None, gt=0, description="largest gradient norm; null: not clipped")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of the averaged weights that are kept; null: none")
    early_stop: int | None = Field(
        None, ge=1, description="epochs without a better accuracy on the hold-out after which it stops; null: never"
    )
    holdout_records: int = Field(2000, ge=0, description="hold-out records looked at after an epoch, at most")
    head: Literal["sgd", "ridge"] = Field(
        "sgd", description="ridge: the start is frozen, and the head solved by least squares (docs/exact-head.md)"
    )
    ridge: float = Field(1.0, gt=0, description="what is added to the diagonal of the features' second moments")

    @field_validator("augment", mode="before")
    @classmethod
    def _known(cls, raw: Any) -> Any:
        """Raise in one sentence, where a union says one for each of its parts."""
        if isinstance(raw, str) and raw in _WORDS:
            return raw
        names = list(raw) if isinstance(raw, list | tuple) else []
        if names and all(name in get_args(Step) for name in names) and len({*names}) == len(names):
            return tuple(names)
        fault = "write one of {words}, or a list of different steps out of {steps}"
        raise PydanticCustomError("augment", fault, {"words": ", ".join(_WORDS), "steps": ", ".join(get_args(Step))})

    @model_validator(mode="after")
    def _consistent(self) -> "TrainConfig":
        """Raise where two options contradict each other."""
        steps = () if isinstance(self.augment, str) else self.augment
        for name, step in _OF_STEP.items():
            if step not in steps and getattr(self, name) != type(self).model_fields[name].default:
                fault = "`{name}` is set, and `augment` has no `{step}`; add that step, or leave `{name}` out"
                raise PydanticCustomError("augment", fault, {"name": name, "step": step})
        if self.early_stop and not self.holdout_records:
            fault = "`early_stop` needs hold-out records to look at; set `holdout_records`, or `early_stop` to null"
            raise PydanticCustomError("early_stop", fault)
        for name in _NOT_SOLVED if self.head == "ridge" else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                fault = "`{name}` is set, and a ridge head is solved in one pass without it; leave `{name}` out"
                raise PydanticCustomError("head", fault, {"name": name})
        return self
