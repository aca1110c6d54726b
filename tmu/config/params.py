"""All of `params.yaml`, and how it is read."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from tmu.config.audit import AuditConfig
from tmu.config.base import Config
from tmu.config.learning import ReferencesConfig, TwinConfig
from tmu.config.model import ModelConfig
from tmu.config.purge import PurgeConfig
from tmu.config.train import TrainConfig
from tmu.config.unlearn import AUTO, EXACT_HEAD, AutoConfig, UnlearnConfig
from tmu.errors import ConfigError


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
