"""The learning rate as a pure function of the step, so that a resumed run needs no scheduler state."""

import math

from tmu.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """The rate for `step` of `steps` (0-based)."""
    done = (step + 0.5) / steps
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * done))
    if done < config.warmup:
        return config.lr * done / config.warmup
    if config.schedule == "warmup_cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * (done - config.warmup) / (1 - config.warmup)))
    return config.lr * (1 - done) / (1 - config.warmup)
