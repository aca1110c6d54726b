"""Reading the journal's files of earlier versions of tmu, which stored neither parameters nor rules."""

from typing import Any

from tmu.config import Params
from tmu.deletion.plan import rules_of

_KEPT = ("id", "stage", "forget", "base", "data", "twin", "unlearned", "refused", "service", "run", "times")
_OUTCOME = ("audit", "verdict", "versions", "champion", "serves", "service", "compare")


def from_format_1(raw: dict[str, Any], params: Params) -> dict[str, Any]:
    """A file without `format` as the fields of a `Deletion`.

    params: today's params.yaml, which is where those versions read the parameters at each stage. Before such a deletion
    goes on, or is audited again, they are compared with the recipe of its model (`steps/preflight.py`).
    """
    subjects, records = raw.get("asked") or [[], []]
    old, choice, method = raw["plan"], raw.get("choice") or {}, raw["method"]
    choice = {"asked": method, "method": method, "reason": ""} | {
        name: value for name, value in choice.items() if value
    }
    params = params.with_method(method)
    plan = old | {"records_digest": "", "choice": choice, "rules": rules_of(params)}
    fields = {name: raw[name] for name in _KEPT if raw.get(name) is not None}
    outcome = {name: raw[name] for name in _OUTCOME} if raw.get("audit") and "champion" in raw else None
    return fields | {
        "plan": plan,
        "params": params,
        "asked": {"subjects": subjects, "records": records, "batch": raw.get("batch")},
        "outcome": outcome,
    }
