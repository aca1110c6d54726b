"""Every choice of a run, as frozen models that refuse unknown keys; `params.yaml` is read into `Params`."""

from pathlib import Path, PurePath
from typing import Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tmu.errors import ConfigError
from tmu.files import digest_of


class Config(BaseModel):
    """Base: frozen, strict about names, with a digest for cache keys and manifests."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all fields."""
        return digest_of(self.model_dump(mode="json"))


class Seeds(Config):
    """Separate seeds, so that a gold can share the original's order and augmentation."""

    init: int = 0
    order: int = 0
    augment: int = 0
    unlearn: int = 0
    evaluate: int = 0

    @classmethod
    def all(cls, seed: int) -> "Seeds":
        """The same number on every axis."""
        return cls(init=seed, order=seed, augment=seed, unlearn=seed, evaluate=seed)


_SINCE_STARTS = ("init", "init_sha256", "init_source", "mean", "std")  # keys of a model that came after it was stored


class ModelConfig(Config):
    """An architecture by registry name, with its options (`width`, ...), and what it starts from.

    Dumped, it leaves out newer keys that are at their defaults, so that the digests of earlier models stay.
    """

    name: str = "small_resnet"
    options: dict[str, Any] = Field(default_factory=dict)
    init: str | None = Field(
        None, min_length=1, description="safetensors file to start from, relative to the workspace; null: random"
    )
    init_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="its digest; other bytes are refused")
    init_source: str = Field("", max_length=200, description="what those weights were trained on, in words")
    mean: float | tuple[float, ...] = Field(0.5, description="taken from the pixels (0..1): one number, or by channel")
    std: float | tuple[float, ...] = Field(0.25, description="what they are divided by then")

    @field_validator("init_source")
    @classmethod
    def _in_words(cls, value: str) -> str:
        if PurePath(value).is_absolute() or not value.isprintable():
            raise ValueError("say it in words on one line, not by a path: model cards and certificates repeat it")
        return value

    @field_validator("mean", "std")
    @classmethod
    def _some(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if value == ():
            raise ValueError("give one number, or one a channel")
        return value

    @field_validator("std")
    @classmethod
    def _positive(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if min(value if isinstance(value, tuple) else (value,)) <= 0:
            raise ValueError("a standard deviation is above 0")
        return value

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {name for name in _SINCE_STARTS if getattr(self, name) == fields[name].default}
        whole = bool(info.context and info.context.get("whole"))
        return {name: value for name, value in dump(self).items() if whole or name not in unused}

    @property
    def constants(self) -> dict[str, tuple[float, ...]]:
        """`mean` and `std`, each as a tuple."""
        given = {"mean": self.mean, "std": self.std}
        return {name: each if isinstance(each, tuple) else (each,) for name, each in given.items()}

    @property
    def started(self) -> bool:
        """Whether it starts from weights that were trained elsewhere."""
        return bool(self.init or self.init_sha256)

    def made_of(self) -> dict[str, Any]:
        """What determines a fresh network besides the seed, JSON-ready: of a start its digest, not its place.

        Raises ValueError where the digest is not known yet (`tmu.starts.pinned`).
        """
        if self.init and not self.init_sha256:
            raise ValueError("the start has no digest yet")
        return self.model_dump(mode="json", exclude={"init", "init_source"})


WHOLE = {"whole": True}
"""Context of `model_dump` under which a recipe names all of its options."""
Word = Literal["none", "shift", "flip_shift"]
Step = Literal["crop", "flip", "colour", "randaugment"]
_WORDS = get_args(Word)
_LATER = (  # options of a recipe that came after recipes were stored
    *("optimiser", "backbone_lr", "decay", "balance", "ema", "early_stop", "holdout_records"),
    *("crop_area", "colour", "operations", "strength", "head", "ridge"),
)
_NOT_SOLVED = ("augment", "balance", "ema", "early_stop", "label_smoothing", "clip_norm")  # by a ridge head
_OF_STEP: dict[str, Step] = {
    "crop_area": "crop",
    "colour": "colour",
    "operations": "randaugment",
    "strength": "randaugment",
}


class TrainConfig(Config):
    """One run of the training engine (`docs/training.md`).

    Dumped, it leaves out options that came later and are not used, so that the digests of earlier recipes stay; with
    `context=WHOLE` it names all.
    """

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

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {name for name in _LATER if getattr(self, name) == fields[name].default}
        whole = bool(info.context and info.context.get("whole"))
        return {name: value for name, value in dump(self).items() if whole or name not in unused}


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


EXACT_HEAD = "exact-head"  # the method of models with a ridge head
AUTO = "auto"  # in place of a method: chosen for each request (`tmu/steps/choose_method.py`)


class UnlearnConfig(Config):
    """A method by registry name, or `auto`; `options` are checked by the method's own config class."""

    method: str = "tmu-soft"
    options: dict[str, Any] = Field(default_factory=dict)


class AutoConfig(Config):
    """What `auto` weighs against exact retraining."""

    method: str = Field("tmu-soft", description="the approximate method; `unlearn.options` go with it")
    requests_per_references: int = Field(
        20, ge=1, description="requests among which the cost of the references (and the twin on them) is shared"
    )


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


class Retention(Config):
    """A written rule under which models that learned erased records stay for a while; plan and certificate state it."""

    role: Literal["original", "gold", "unlearned", "twin"]
    days: int = Field(ge=1, description="days after the deletion; then `tmu purge` destroys them")
    why: str = Field(min_length=10, description="the ground, as the certificate states it")


class PurgeConfig(Config):
    """What becomes of what a deletion leaves behind (`docs/erasure.md`)."""

    act: bool = Field(True, description="destroy it at the deletion's end; false: `tmu purge` does it, when told")
    keep: tuple[Retention, ...] = Field((), description="models that stay for a while, by rule")


class Params(Config):
    """All of `params.yaml`."""

    seed: int = 0
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    references: ReferencesConfig = ReferencesConfig()
    twin: TwinConfig = TwinConfig()
    unlearn: UnlearnConfig = UnlearnConfig()
    auto: AutoConfig = AutoConfig()
    audit: AuditConfig = AuditConfig()
    purge: PurgeConfig = PurgeConfig()

    @property
    def ridge_head(self) -> bool:
        """Whether the model is a frozen start with a head solved by least squares (docs/exact-head.md)."""
        return self.train.head == "ridge"

    @property
    def method_of_auto(self) -> str:
        """The method that `auto` weighs against retraining: the exact one where the model is of its kind."""
        return EXACT_HEAD if self.ridge_head else self.auto.method

    @property
    def approximate_method(self) -> str:
        """The configured method; under `auto` the one that it weighs against retraining."""
        return self.method_of_auto if self.unlearn.method == AUTO else self.unlearn.method

    def stored(self) -> "Params":
        """The same choices without the place of the start's file: its digest says which one it is."""
        return self.model_copy(update={"model": self.model.model_copy(update={"init": None})})

    def with_method(self, method: str) -> "Params":
        """The same choices with another unlearning method; options belong to their method and do not go with it."""
        if method == self.unlearn.method:
            return self
        kept = self.unlearn.options if (self.unlearn.method, self.method_of_auto) == (AUTO, method) else {}
        return self.model_copy(update={"unlearn": UnlearnConfig(method=method, options=kept)})


def load_params(path: Path) -> Params:
    """Read `params.yaml`; an unknown or bad key is refused by its name."""
    try:
        raw = yaml.safe_load(Path(path).read_text()) or {}
        return Params.model_validate(raw)
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no {path}.", "Run `tmu init` in this folder, or name another with --home."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {str(error).splitlines()[0]}.", "Fix that line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: `{where}`: {first['msg']}.", "Fix that key; `tmu show params` lists them all."
        ) from error
