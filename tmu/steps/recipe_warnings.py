"""What a recipe will do that its author may not have meant: sentences for plan, doctor and training. Nothing fails."""

from tmu.config import Params
from tmu.unlearn import needs_twin

_FEW = 200  # hold-out records: two epochs apart by less than two points are alike
_ALIKE = ("optimiser", "backbone_lr")


def recipe_warnings(params: Params, held: int | None = None) -> tuple[str, ...]:
    """held: how many hold-out records there are, where that is known."""
    train, found = params.train, []
    if not train.backbone_lr and not params.model.started:
        found.append(
            "The backbone is frozen and begins with random weights: the head learns on noise. "
            "Name weights to start from in `model.init`, or raise `train.backbone_lr`."
        )
    if train.early_stop and held is not None and 0 < min(held, train.holdout_records) < _FEW:
        looked_at = min(held, train.holdout_records)
        found.append(
            f"Early stopping decides by {looked_at} hold-out records, of which each is {100 / looked_at:.1f} points. "
            "Import with a larger hold-out, or set `train.early_stop` to null."
        )
    other = [name for name in _ALIKE if getattr(train, name) != getattr(params.twin.train, name)]
    if other and needs_twin(params.approximate_method):
        named = " and ".join(f"`{name}`" for name in other)
        found.append(
            f"The twin learns the hold-out by another recipe than the original learned by: {named}. "
            f"Set the same below `twin.train`."
        )
    return tuple(found)
