"""What the larger steps work on, each as one value: references and parameters, no tensors."""

from pydantic import Field

from tmu.config import Config, Params
from tmu.refs import DataRef, ForgetRef, ModelRef, ReferencesRef, StatisticsRef, TwinRef


class UnlearnCase(Config):
    """A forget set of the revision `data`, the model that learned it, and how to unlearn it (`params.unlearn`).

    twin, references, statistics: for the methods that need one; statistics: of the original, where there are some.
    """

    data: DataRef
    forget: ForgetRef
    original: ModelRef
    twin: TwinRef | None = None
    references: ReferencesRef | None = None
    statistics: StatisticsRef | None = None
    params: Params


class GoldsCase(Config):
    """Golds of one forget set. runs: their numbers, see `train_model.train_gold`."""

    data: DataRef
    forget: ForgetRef
    params: Params
    runs: tuple[int, ...]


class JudgedCase(UnlearnCase):
    """An unlearned model to be audited.

    notes: sentences for the report's provenance, such as why this method was used.
    """

    unlearned: ModelRef
    notes: dict[str, str] = Field(default_factory=dict)

    @property
    def method(self) -> str:
        """The name of the row that is judged."""
        return self.params.unlearn.method


class TableAuditCase(JudgedCase):
    """One without golds. references: None: those of the data revision are looked up."""


class RidgeAuditCase(JudgedCase):
    """One with a ridge head, to be proved by equality. statistics: of the unlearned model; None: looked up."""


class AuditCase(JudgedCase):
    """One beside golds.

    golds: at least two, the first paired with the original, the others independent (the noise floor). control: the
    model of "right fraction, random choice". Without a twin (exact retraining) there is neither control nor predictor.
    """

    golds: tuple[ModelRef, ...]
    control: ModelRef | None = None


class Lineage(Config):
    """Where a registered model comes from: forget set, parent model, deletion, MLflow's run of its batch."""

    forget: ForgetRef | None = None
    parent: ModelRef | None = None
    request: str | None = None
    run: str | None = None
