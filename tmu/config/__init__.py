"""Every choice of a run, as frozen models that refuse unknown keys; `params.yaml` is read into `Params`.

One file for each group of settings; all of it is imported from here.
"""

from tmu.config.audit import AuditConfig
from tmu.config.base import WHOLE, Config
from tmu.config.learning import ReferencesConfig, TwinConfig
from tmu.config.model import ModelConfig
from tmu.config.params import Params, load_params
from tmu.config.purge import PurgeConfig, Retention
from tmu.config.seeds import Seeds
from tmu.config.train import Step, TrainConfig
from tmu.config.unlearn import AUTO, EXACT_HEAD, AutoConfig, UnlearnConfig

__all__ = [
    "AUTO",
    "EXACT_HEAD",
    "WHOLE",
    "AuditConfig",
    "AutoConfig",
    "Config",
    "ModelConfig",
    "Params",
    "PurgeConfig",
    "ReferencesConfig",
    "Retention",
    "Seeds",
    "Step",
    "TrainConfig",
    "TwinConfig",
    "UnlearnConfig",
    "load_params",
]
