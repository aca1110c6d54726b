"""Every choice of a run, as frozen models that refuse unknown keys; `params.yaml` is read into `Params`."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

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


class ModelConfig(Config):
    """An architecture by registry name, with its options (`width`, ...)."""

    name: str = "small_resnet"
    options: dict[str, Any] = Field(default_factory=dict)


class TrainConfig(Config):
    """One run of the training engine."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=2)
    lr: float = Field(0.1, gt=0, description="peak learning rate of SGD with Nesterov momentum")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["triangle", "cosine", "constant"] = "triangle"
    warmup: float = Field(0.2, ge=0, le=1, description="share of the steps that raise the rate (triangle)")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    augment: Literal["none", "shift", "flip_shift"] = "none"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    clip_norm: float | None = Field(None, gt=0, description="largest gradient norm; null: not clipped")
    head: Literal["sgd", "ridge"] = Field(
        "sgd", description="ridge: the start is frozen, and the head solved by least squares (docs/exact-head.md)"
    )
    ridge: float = Field(1.0, gt=0, description="what is added to the diagonal of the features' second moments")

    @model_serializer(mode="wrap")
    def _as_before(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Newer fields are left out at their defaults, so that the digests of older recipes stay."""
        defaults = {name: type(self).model_fields[name].default for name in _NEWER}
        return {name: value for name, value in fields(self).items() if defaults.get(name, ...) != value}


_NEWER = ("head", "ridge")
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
    sample: int = Field(2000, ge=100, description="without golds: staying and never-seen records looked at, at least")
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
