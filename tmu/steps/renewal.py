"""When the references must be fitted again: too much of D was erased since, or some was, and they are too old.

The rows that stay came from networks half of which had seen the erased people. A table of which nothing was erased does
not age: fitting it again would give the same bits.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from tmu.config import Params
from tmu.refs import DataRef, ReferencesRef
from tmu.steps.read_references import find_references, read_info, read_run
from tmu.workspace import Workspace

_SOON = 0.8  # of a limit

State = Literal["fine", "soon", "due"]


@dataclass(frozen=True)
class Renewal:
    """state: `soon` from four fifths of a limit on, `due` at it. reasons: sentences, one a limit that is near.

    erased: the share of D erased since the fit, 0..1. days: the age.
    """

    state: State
    reasons: tuple[str, ...]
    erased: float
    days: float


def renewal_of(
    workspace: Workspace, ref: ReferencesRef, params: Params, *, erasing: int = 0, at: datetime | None = None
) -> Renewal:
    """Whether a table serves on, by `references.renew_erased` and `references.renew_days`.

    erasing: training records that a plan is about to erase, so that it can say so before. at: now, unless given.
    """
    rule, info = params.references, read_info(workspace, ref)
    fitted = datetime.fromisoformat(read_run(workspace, ref)["fitted_at"])
    days = ((at or datetime.now(UTC)) - fitted).total_seconds() / 86_400
    erased = (info["erased_records"] + erasing) / info["n_train"]
    share = f"{100 * erased:.1f} % of the training set is erased since the fit"
    age = days / rule.renew_days if erased else 0.0
    near = {
        f"{share}; the limit is {100 * rule.renew_erased:g} %.": erased / rule.renew_erased,
        f"The references are {days:.0f} days old; the limit is {rule.renew_days} days.": age,
    }
    most = max(near.values())
    state: State = "due" if most >= 1 else "soon" if most >= _SOON else "fine"
    return Renewal(state, tuple(why for why, share in near.items() if share >= _SOON), erased, days)


def serving_references(workspace: Workspace, data: DataRef, params: Params) -> ReferencesRef | None:
    """The table of this data revision that need not be renewed yet; None where one must be fitted."""
    found = find_references(workspace, data, params)
    due = found is not None and renewal_of(workspace, found, params).state == "due"
    return None if due else found
