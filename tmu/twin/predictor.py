"""The generalisation-label predictor C: the chance that a model which has not seen a record gets it wrong.

Fitted on the twin side (features of D_h under M_t, labels from M_o), applied to the real side (features of D_f under
M_o). Network and training as in the published code (MLP n-32-16-1, BCE, Adam, 200 epochs; `docs/method.md`); ours are
the class weights, one scaling fitted on the twin side and used on both, the class's hold-out error as a covariate
(random forget sets hold all classes), and Platt's calibration on cross-fitted scores.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tmu.config import TwinConfig
from tmu.errors import GateError
from tmu.train.order import stream

_PRIOR = 10.0  # records' worth of the overall error that steady a class's own error


@dataclass(frozen=True)
class Predictor:
    """A fitted predictor. All tensors; `state()` and `from_state` carry it through safetensors."""

    low: Tensor  # (F,) clip bounds of the raw features, twin side
    high: Tensor
    class_error: Tensor  # (K,) steadied hold-out error of the original
    weights: dict[str, Tensor]
    platt: Tensor  # (2,) slope and intercept on the raw score

    def score(self, features: Tensor, labels: Tensor) -> Tensor:
        """Raw scores (N,), larger meaning harder, of features (N, F) and classes (N,)."""
        x = _inputs(features, labels, self.low, self.high, self.class_error)
        with torch.device("meta"):  # no first weights are drawn: the process's generator stays as it is
            net = _network(x.shape[1])
        net.load_state_dict(self.weights, assign=True)
        with torch.no_grad():
            return net(x)[:, 0]

    def p_wrong(self, features: Tensor, labels: Tensor) -> Tensor:
        """Calibrated probability (N,) that a model which has not seen the record gets it wrong."""
        return torch.sigmoid(self.platt[0] * self.score(features, labels) + self.platt[1])

    def state(self) -> dict[str, Tensor]:
        """All tensors by name."""
        named = {"low": self.low, "high": self.high, "class_error": self.class_error, "platt": self.platt}
        return named | {f"net.{name}": value for name, value in self.weights.items()}

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "Predictor":
        """The inverse of `state`."""
        weights = {name[4:]: value for name, value in state.items() if name.startswith("net.")}
        return cls(state["low"], state["high"], state["class_error"], weights, state["platt"])


def class_errors(labels: Tensor, wrong: Tensor, classes: int) -> Tensor:
    """Hold-out error of each class (K,), steadied by the overall error: (wrong_c + m·e) / (n_c + m), m = 10."""
    overall = wrong.float().mean()
    counts = torch.bincount(labels, minlength=classes).float()
    errors = torch.bincount(labels, weights=wrong.float(), minlength=classes).float()
    return (errors + _PRIOR * overall) / (counts + _PRIOR)


def fit_predictor(
    features: Tensor, labels: Tensor, wrong: Tensor, classes: int, config: TwinConfig, seed: int
) -> tuple[Predictor, Tensor]:
    """Fit on features (N, F), classes (N,) and outcomes (N,): the predictor, and cross-fitted p_wrong (N,).

    The second is what the predictor says of records it was not fitted on: quality is measured on it alone. Raises
    GateError where the original gets too few hold-out records wrong to learn from.
    """
    n_wrong = int(wrong.sum())
    folds = min(config.folds, n_wrong, len(wrong) - n_wrong)
    if folds < 2:
        raise GateError(
            f"The original gets {n_wrong} of {len(wrong)} hold-out records wrong: too few of one kind to learn from.",
            "Import with a larger hold-out, or use `--method retrain`.",
        )
    from sklearn.model_selection import StratifiedKFold

    raw = torch.zeros(len(wrong))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=stream(seed, "folds") % 2**32)
    for fitted, held in splitter.split(np.zeros(len(wrong)), wrong.numpy()):
        part = _fit_once(features[fitted], labels[fitted], wrong[fitted], classes, config, seed)
        raw[held] = part.score(features[held], labels[held])
    platt = platt_scaling(raw, wrong)
    whole = _fit_once(features, labels, wrong, classes, config, seed)
    predictor = Predictor(whole.low, whole.high, whole.class_error, whole.weights, platt)
    return predictor, torch.sigmoid(platt[0] * raw + platt[1])


def _fit_once(
    features: Tensor, labels: Tensor, wrong: Tensor, classes: int, config: TwinConfig, seed: int
) -> Predictor:
    low, high = _bounds(features)
    errors = class_errors(labels, wrong, classes)
    x, y = _inputs(features, labels, low, high, errors), wrong.float()[:, None]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "predictor") & (2**63 - 1))
        net = _network(x.shape[1])
    optimiser = torch.optim.Adam(net.parameters(), lr=config.predictor_lr, weight_decay=1e-4)
    balance = (1 - y).sum() / y.sum()
    for _ in range(config.predictor_epochs):
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(net(x), y, pos_weight=balance).backward()
        optimiser.step()
    weights = {name: value.detach().clone() for name, value in net.state_dict().items()}
    return Predictor(low, high, errors, weights, torch.tensor([1.0, 0.0]))


def _bounds(features: Tensor) -> tuple[Tensor, Tensor]:
    """Tukey's fences: [Q1 - 1.5 IQR, Q3 + 1.5 IQR] of each feature."""
    first, third = features.quantile(0.25, dim=0), features.quantile(0.75, dim=0)
    reach = 1.5 * (third - first).clamp_min(1e-6)
    return first - reach, third + reach


def _inputs(features: Tensor, labels: Tensor, low: Tensor, high: Tensor, class_error: Tensor) -> Tensor:
    scaled = (features.clamp(low, high) - low) / (high - low)
    return torch.cat([scaled, class_error.clamp(1e-4, 1 - 1e-4).logit()[labels][:, None] / 4], dim=1)


def _network(inputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))


def platt_scaling(raw: Tensor, wrong: Tensor) -> Tensor:
    """Slope and intercept (2,) that turn scores (N,) into the log-odds of `wrong`; the slope is above 0.

    Source: Platt 1999, Probabilistic outputs for support vector machines.
    """
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e4).fit(raw.numpy()[:, None], wrong.numpy())
    slope = max(float(fitted.coef_[0, 0]), 1e-6)  # a negative slope would turn the ranking round
    return torch.tensor([slope, float(fitted.intercept_[0])])
