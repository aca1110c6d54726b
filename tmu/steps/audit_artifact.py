"""What the artifacts of the three audits share: identity, provenance, seconds."""

from typing import Any

from tmu.provenance import hardware, lock_digest
from tmu.refs import ModelRef
from tmu.start_file import start_in_words
from tmu.steps.cases import JudgedCase
from tmu.steps.loading import run_record
from tmu.steps.making import identity_of
from tmu.workspace import Workspace

Rows = dict[str, ModelRef]  # the models by the name of their row


def identity_of_audit(code: tuple[str, ...], case: JudgedCase, rows: Rows, **own: Any) -> dict[str, Any]:
    """All that determines an audit. code: as in `identity_of`. own: what this kind of audit has beside the others."""
    return identity_of(
        "audit",
        code,
        data=case.data.digest,
        forget=case.forget.digest,
        models={name: model.weights for name, model in rows.items()},
        seed=case.params.seed,
        **own,
        **({"notes": case.notes} if case.notes else {}),
    )


def provenance_of(case: JudgedCase, rows: Rows, *, proof: str | None = None, **own: Any) -> dict[str, Any]:
    """What the report says of its origin, in the order of the page.

    proof: what stands in for golds. own: as in `identity_of_audit`.
    """
    return {
        **({"proof": proof} if proof else {}),
        "data revision": case.data.digest,
        "forget set": case.forget.digest,
        **start_in_words(case.params.model),
        **own,
        "lock file": lock_digest(),
        "hardware": ", ".join(f"{key} {value}" for key, value in sorted(hardware().items())),
        **{f"weights of {name}": model.weights for name, model in rows.items()},
    }


def seconds_of(workspace: Workspace, rows: Rows) -> dict[str, float]:
    """What making each model took, by row."""
    return {name: run_record(workspace, model)["seconds_total"] for name, model in rows.items()}


def put_seconds(result: dict[str, Any], run: dict[str, Any], seconds: dict[str, float]) -> None:
    """Put each model's seconds into the rows of `result` and into the run record, where no twin was shared."""
    run["seconds_by_row"] = {"alone": seconds, "whole": seconds}
    for row in result["rows"]:
        row["seconds"] = seconds[row["name"]]
