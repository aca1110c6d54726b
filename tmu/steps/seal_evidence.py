"""Complete the bundle of a request and store it for good: letter, register row, the ledger's entries, sums.

The list of sums is written last and stored last: a bundle with it is whole. One that was cut short is completed by the
next call; one that is sealed is never made again.
"""

from pathlib import Path

from tmu.config import Config
from tmu.errors import TmuError
from tmu.evidence import letter, register
from tmu.evidence.sums import SUMS, check_sums, read_sums, write_sums
from tmu.files import write_atomic
from tmu.ledger import proof
from tmu.ledger.place import has_ledger, opened
from tmu.steps.register_of_requests import register_of
from tmu.steps.reissue_certificate import deletion_of
from tmu.steps.stored_certificate import folder_of, has_certificate
from tmu.steps.write_letter import letter_of
from tmu.stores.evidence import evidence_store
from tmu.stores.lock import locked
from tmu.workspace import Workspace

LEDGER = "ledger.jsonl"


class Sealed(Config):
    """A bundle that is stored. files: how many; store: where."""

    request: str
    files: int
    store: str


class NotSealed(Config):
    """Why a bundle is not complete, and what to do."""

    request: str
    why: str
    hint: str


def seal_evidence(workspace: Workspace, request: str) -> Sealed | NotSealed:
    """Seal what can be sealed. A refusal does not undo the deletion: it is returned, and can be tried again."""
    if not has_certificate(workspace, request):
        why = f"The evidence of request {request} is not sealed: it has no certificate yet."
        return NotSealed(request=request, why=why, hint=f"`tmu certificate issue {request}`, then `tmu evidence`.")
    try:
        return seal_bundle(workspace, request)
    except TmuError as error:
        return NotSealed(request=request, why=error.what, hint=error.hint)


def seal_bundle(workspace: Workspace, request: str) -> Sealed:
    """Raises RequestError before completion, DataError where a file was changed after it was sealed, StorageError."""
    folder = folder_of(workspace, request)
    with locked(workspace.state("evidence.lock")):
        if not (folder / SUMS).exists():
            for name, content in _documents(workspace, request).items():
                write_atomic(folder / name, content)
            write_sums(folder)
        check_sums(folder)
        names = [*read_sums(folder), SUMS]
        store = evidence_store(folder.parent, workspace.settings)
        store.keep(request, folder, names)
    return Sealed(request=request, files=len(names), store=store.name)


def _documents(workspace: Workspace, request: str) -> dict[str, bytes]:
    facts = letter_of(workspace, request)
    found = {
        f"{letter.NAME}.txt": letter.letter_text(facts).encode(),
        f"{letter.NAME}.md": letter.letter_markdown(facts).encode(),
        register.NAME: register.register_csv(register_of(workspace, request)),
    }
    if has_ledger(workspace) and deletion_of(workspace, request)[1]:
        with opened(workspace) as ledger:
            found[LEDGER] = proof.extract(ledger, request)
    return found


def bundles(workspace: Workspace) -> list[Path]:
    """The folders of all evidence on this machine, by request."""
    return sorted(each for each in workspace.state("evidence").glob("[!.]*") if each.is_dir())
