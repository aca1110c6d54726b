"""The one training engine: original, gold, twin, curriculum nets and unlearning all go through `fit`."""

from tmu.train.engine import Fit, fit
from tmu.train.examples import Examples
from tmu.train.predict import logits_of, predict

__all__ = ["Examples", "Fit", "fit", "logits_of", "predict"]
