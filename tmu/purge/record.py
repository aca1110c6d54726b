"""`Record`: one purge on disk, `.tmu/purges/REQUEST.json`. Written before the first byte goes and after each trace.

It holds the scope's keys as long as they are needed to find something by them. `scrubbed` takes them and the salt away;
what remains leads to nobody. A value: each step gives a new one.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field, ValidationError

from tmu import __version__
from tmu.config import Config
from tmu.errors import RequestError, StorageError
from tmu.files import read_json, write_atomic
from tmu.provenance import now
from tmu.purge.commitment import commitments, new_salt
from tmu.purge.scope import Scope
from tmu.purge.step import Step, identity_of, lines, merged, models, seen
from tmu.purge.summary import Line, Model, PurgeSummary
from tmu.purge.trace import Trace
from tmu.workspace import Workspace

_ID = re.compile("[0-9a-f]{16}")


class Record(Config):
    """A purge. scope: None once nothing more can follow. salt: of the commitments; empty once scrubbed. away: stores
    that did not answer, with their errors. planned, acted, verified: times; empty: not yet. counted: the inventory of
    what was scrubbed.
    """

    format: Literal[1] = 1
    request: str
    scope: Scope | None
    salt: str
    commitments: dict[str, str]
    n_records: int
    n_subjects: int
    n_shards: int
    places: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    away: dict[str, str] = Field(default_factory=dict)
    planned: str = ""
    acted: str = ""
    verified: str = ""
    counted: tuple[Line, ...] = ()
    models: tuple[Model, ...] = ()

    @classmethod
    def of(cls, scope: Scope) -> "Record":
        """A new one, with a salt of its own."""
        salt = new_salt()
        return cls(
            request=scope.request,
            scope=scope,
            salt=salt,
            commitments=commitments(scope, salt),
            n_records=len(scope.records),
            n_subjects=len(scope.subjects),
            n_shards=len(scope.shards),
        )

    @property
    def has_keys(self) -> bool:
        """Whether keys are still in it; without them it cannot be looked for the person any more."""
        return self.scope is not None and bool(self.scope.every_key)

    @property
    def left(self) -> tuple[Step, ...]:
        """What is to be acted on, or was found again afterwards."""
        return tuple(step for step in self.steps if step.left)

    @property
    def stays(self) -> tuple[Trace, ...]:
        """What stays for now, by rule or lock."""
        return tuple(step.trace for step in self.steps if step.trace.stays)

    def due(self, today: str) -> tuple[Trace, ...]:
        """What stayed until a date that has come. today: ISO 8601."""
        return tuple(trace for trace in self.stays if trace.ran_out(today))

    def found(self, places: Iterable[str], traces: Iterable[Trace], away: dict[str, str]) -> "Record":
        """With what a look at all stores found. What is there again is open again; what is not there is done.

        Without keys a look does not find everything: what is not found keeps its state, until its date has come.
        """
        there = {identity_of(trace): trace for trace in traces}
        known = {step.identity: step for step in self.steps}
        sure = {name: self.has_keys and name not in away for name in {step.trace.place for step in self.steps}}
        steps = [seen(step, there.get(identity), sure=sure[identity[0]]) for identity, step in known.items()]
        steps += [Step(trace=trace) for identity, trace in there.items() if identity not in known]
        order = list(places)
        sound = self.verified if not any(step.left for step in steps) else ""  # what is back makes it a purge anew
        steps.sort(key=lambda step: order.index(step.trace.place) if step.trace.place in order else len(order))
        return self.with_(
            steps=tuple(steps), places=tuple(order), away=away, verified=sound, planned=self.planned or now()
        )

    def with_(self, **changes: object) -> "Record":
        """A changed copy."""
        return self.model_copy(update=changes)

    def scrubbed(self) -> "Record":
        """Without keys, salt and addresses; traces that stay keep theirs, and the scope what it takes to end them.

        Raises RequestError before the purge was verified.
        """
        if not self.verified or self.left:
            raise RequestError(f"The purge of {self.request} is not verified.", "Finish it: `tmu purge --yes`.")
        stays = tuple(step for step in self.steps if step.trace.stays)
        scope = self.scope and self.scope.model_copy(update={"records": (), "subjects": (), "requests": ()})
        gone = [step for step in self.steps if not step.trace.stays]
        return self.with_(
            scope=scope if stays else None,
            salt="",
            steps=stays,
            counted=merged([*self.counted, *lines(gone)]),
            models=(*self.models, *models(gone)),
        )

    def summary(self) -> PurgeSummary:
        """In numbers."""
        return PurgeSummary(
            request=self.request,
            tool=f"tmu {__version__}",
            planned=self.planned,
            acted=self.acted,
            verified=self.verified,
            places=self.places,
            lines=merged([*self.counted, *lines(self.steps)]),
            models=(*self.models, *models(self.steps)),
            n_records=self.n_records,
            n_subjects=self.n_subjects,
            n_shards=self.n_shards,
            commitments=self.commitments,
        )


def find_record(workspace: Workspace, request: str) -> Record | None:
    """The record of a deletion's purge; None where none was begun. Raises StorageError for a damaged one."""
    path = workspace.state("purges", f"{request}.json")
    if not _ID.fullmatch(request) or not path.exists():
        return None
    try:
        return Record.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        raise StorageError(
            f"The purge's record {path.name} is damaged.", "Remove it if its deletion's keys are left; else restore it."
        ) from error


def records(workspace: Workspace) -> Iterator[Record]:
    """All purges' records, by request."""
    for path in sorted(workspace.state("purges").glob("[!.]*.json")):
        found = find_record(workspace, path.stem)
        if found is not None:
            yield found


def write_record(workspace: Workspace, record: Record) -> Record:
    """Write it whole, its owner's alone; the file as it was before is overwritten."""
    write_atomic(workspace.state("purges", f"{record.request}.json"), record.model_dump_json(indent=1).encode())
    return record
