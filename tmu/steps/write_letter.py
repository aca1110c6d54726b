"""The facts of a letter: of the request, its deletion and its purge."""

from tmu.config import EXACT_HEAD
from tmu.deletion.deletion import Stage
from tmu.errors import RequestError
from tmu.evidence.letter import Letter
from tmu.purge.record import find_record
from tmu.purge.summary import Line
from tmu.purge.trace import Holds
from tmu.steps.register_of_requests import register_of
from tmu.steps.reissue_certificate import deletion_of
from tmu.workspace import Workspace

_HELD = {
    Holds.IMAGES: "Pictures of yours",
    Holds.KEYS: "Entries that lead to you",
    Holds.OUTPUTS: "Answers of a model to your pictures",
    Holds.WEIGHTS: "A model that learned from your pictures",
    Holds.NAMES: "Names of files",
}


def letter_of(workspace: Workspace, request: str) -> Letter:
    """Of a completed request, by the ledger's id or the deletion's. Raises RequestError before completion."""
    deletion, _ = deletion_of(workspace, request)
    (row,) = register_of(workspace, request) or (None,)
    if row is None or not row.done or deletion.stage is not Stage.COMPLETED:
        raise RequestError(f"Request {request} is not completed.", "There is a letter at its end.")
    record, settings = find_record(workspace, deletion.id), workspace.settings
    summary = deletion.purged or (record.summary() if record else None)
    stays = [] if summary is None else [_stays(line) for line in summary.stays]
    copies = [f"Copies that are made for safety ({each.name}): the last is gone {each.days} days after the end."
              for each in settings.backups]  # fmt: skip
    return Letter(
        received=row.received,
        done=row.done,
        records=int(row.records) if row.records else None,
        purged=summary is not None and summary.passed,
        learned=deletion.learned,
        exact=deletion.exact,
        head_alone=deletion.method == EXACT_HEAD,
        verdict=deletion.outcome.verdict.outcome if deletion.outcome else "none",
        stays=tuple(dict.fromkeys([*stays, *copies])),
        issuer=settings.issuer,
        contact=settings.issuer_contact,
        authority=settings.authority,
    )


def _stays(line: Line) -> str:
    """A line of the inventory in plain words; places and numbers of versions say nothing to the person."""
    until = f" until {line.until[:10]}" if line.until else ""
    return f"{_HELD[line.holds]}, kept{until}. The reason: {line.why.rstrip('.') or 'it cannot be destroyed earlier'}."
