"""The candidates of `bench/tune.py`: four a method round its published values, one or two more where the best lay
on the edge."""

from typing import Any


def _each(rates: tuple[float, float], **options: list[Any]) -> list[dict[str, Any]]:
    """Both rates with either value of one more option."""
    ((name, values),) = options.items()
    return [{"lr": lr, name: value} for value in values for lr in rates]


GRID: dict[str, list[dict[str, Any]]] = {
    "salun": [*_each((0.003, 0.013), keep=[0.2, 0.5]), {"lr": 0.001, "keep": 0.2}],
    "sfr-on": [{"lr": lr, "alpha": alpha, "steps": 450} for alpha in (5.0, 25.0) for lr in (0.01, 0.05)],
    "amun": _each((0.01, 0.05), steps=[150, 300]),
    "regun": _each((0.01, 0.05), forget_weight=[0.2, 0.5]),
    "l1-sparse": _each((0.01, 0.05), gamma=[1e-4, 5e-4]),
    "scrub": [*_each((0.01, 0.05), alpha=[0.001, 0.5]), {"lr": 0.003, "alpha": 0.001}, {"lr": 0.001, "alpha": 0.001}],
    "neggrad-plus": _each((0.01, 0.05), retain_weight=[0.95, 0.99]),
    "bad-teacher": _each((0.01, 0.05), temperature=[1.0, 2.0]),
    "random-label": [*_each((0.003, 0.01), steps=[150, 300]), {"lr": 0.001, "steps": 150}],
    "ssd": [{"alpha": alpha, "dampening": d} for d in (1.0, 0.5) for alpha in (2.0, 5.0)],
    "finetune": _each((0.03, 0.1), steps=[300, 450]),
    "tmu": [
        *({"hard_weight": w, "easy_weight": w} for w in (0.5, 2.0)),
        {"hard_weight": 0.5, "easy_weight": 0.5, "confidence": "one"},
        {"hard_weight": 0.5, "easy_weight": 0.5, "confidence": "one", "hard_label": "random"},
    ],
    "tmu-soft": _each((0.05, 0.1), forget_weight=[3.0, 5.0]),
}
