"""The written rules under which models that learned erased records stay for a while (`Params.purge.keep`)."""

from datetime import date, timedelta

from tmu.config import Retention
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.provenance import now
from tmu.purge.scope import Scope
from tmu.workspace import Workspace


def stays(workspace: Workspace, scope: Scope, role: str) -> tuple[str, str] | None:
    """Why a model of this role stays, and until which date (ISO 8601); None: no rule, or it ran out.

    The rules are those under which the deletion was acknowledged, whatever params.yaml says now. To be asked for each
    model that learned the scope's records. role: as in `ModelRef`.
    """
    deletion = Journal(workspace).find(scope.request)
    rule = next((each for each in deletion.params.purge.keep if each.role == role), None)
    if rule is None:
        return None
    until = until_of(deletion, rule)
    return (rule.why, until) if now()[:10] < until else None


def until_of(deletion: Deletion, rule: Retention) -> str:
    """The date (ISO 8601) on which a rule runs out: so many days after the records were erased."""
    erased = deletion.times.get(Stage.ERASED) or now()  # a plan that is shown before: as if it were done today
    return (date.fromisoformat(erased[:10]) + timedelta(days=rule.days)).isoformat()
