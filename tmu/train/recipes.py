"""The recipe of a step that goes on from a stored model: what it takes over from the original's, and what not."""

from typing import Any

from tmu.config import TrainConfig

_SGD_DECAY = 5e-4  # of SGD, whose decay is not AdamW's: there it is a share of the weights, here of the loss


def step_recipe(original: TrainConfig, **changes: Any) -> TrainConfig:
    """The original's recipe, with changes, for some steps from its weights by SGD.

    What the original trained is trained: a frozen backbone stays so, a slower one is slower. Images are augmented and
    classes balanced alike. The rates of the methods are SGD's, whatever the original learned by. An average of so few
    steps would hold the old weights back, and nothing stops early: the length is the method's.
    """
    fixed: dict[str, Any] = {"ema": None, "early_stop": None}
    if original.optimiser != "sgd":
        fixed |= {"optimiser": "sgd", "momentum": 0.9, "weight_decay": _SGD_DECAY}
    return original.model_copy(update=fixed | changes)
