"""A bundle is sealed once, whole, with the documents of its request; and nothing in it leads to the person."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger_tools import ALICE, KEYS, approved, begun, complete, put
from tests.unit.deletion.test_deletion import acknowledged
from tmu.config import PurgeConfig
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import DataError, RequestError
from tmu.evidence.sums import SUMS, check_sums, read_sums
from tmu.files import write_atomic
from tmu.ledger import decisions, proof
from tmu.ledger.place import opened
from tmu.refs import DataRef
from tmu.steps.keep_evidence import keep_evidence
from tmu.steps.register_of_requests import register_of
from tmu.steps.seal_evidence import NotSealed, Sealed, seal_bundle, seal_evidence
from tmu.steps.write_letter import letter_of
from tmu.workspace import Workspace

AFTER = DataRef(uri="data", digest="2.dir")
PERSON, OTHER = KEYS.subject("anna"), KEYS.subject("bert")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    Workspace.create(tmp_path / "w")
    return Workspace.open(tmp_path / "w")


def ended(workspace: Workspace, batch: str | None = None) -> Deletion:
    """A completed deletion of which no model had learned the records."""
    new = acknowledged(subjects=(PERSON,), n_train=0)
    asked = Asked(batch=batch) if batch else Asked.of([PERSON], [])
    params = new.params.model_copy(update={"purge": PurgeConfig(act=False)})
    journal = Journal(workspace)
    deletion = journal.add(new.model_copy(update={"asked": asked, "params": params}))
    return journal.advance(deletion, Stage.COMPLETED, data=AFTER, service="The model in service stays.")


def certified(workspace: Workspace, request: str) -> Path:
    folder = workspace.state("evidence", request)
    write_atomic(folder / "certificate.json", b"{}")
    return folder


def leads_to(folder: Path, *keys: str) -> list[str]:
    """The files in which a key, or the head of one, is."""
    return [path.name for path in folder.rglob("*") if path.is_file() and any(
        key[:12] in path.read_text(errors="replace") for key in keys)]  # fmt: skip


def test_without_a_certificate_nothing_is_sealed(workspace: Workspace) -> None:
    deletion = ended(workspace)
    keep_evidence(workspace, deletion)
    found = seal_evidence(workspace, deletion.id)
    assert isinstance(found, NotSealed) and "no certificate" in found.why
    assert not workspace.state("evidence", deletion.id, SUMS).exists()


def test_a_bundle_is_whole_and_stays_as_it_is(workspace: Workspace) -> None:
    deletion = ended(workspace)
    keep_evidence(workspace, deletion)
    folder = certified(workspace, deletion.id)
    found = seal_evidence(workspace, deletion.id)
    assert isinstance(found, Sealed) and found.files == check_sums(folder) + 1
    assert set(read_sums(folder)) == {"certificate.json", "letter.md", "letter.txt", "register.csv", "sbom.cdx.json"}
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert seal_evidence(workspace, deletion.id) == found
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert leads_to(folder, PERSON) == []
    assert deletion.id not in before["letter.txt"].decode() and "not yet from" in before["letter.txt"].decode()
    write_atomic(folder / "letter.txt", b"another letter")
    with pytest.raises(DataError, match=r"letter\.txt .* changed"):
        seal_bundle(workspace, deletion.id)


def test_a_seal_that_was_cut_short_is_completed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    deletion = ended(workspace)
    keep_evidence(workspace, deletion)
    folder = certified(workspace, deletion.id)
    with monkeypatch.context() as broken:
        broken.setattr("tmu.steps.seal_evidence.write_sums", lambda folder: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            seal_evidence(workspace, deletion.id)
    assert (folder / "letter.txt").exists() and not (folder / SUMS).exists()
    assert isinstance(seal_evidence(workspace, deletion.id), Sealed)


def test_each_request_of_a_batch_has_its_own_bundle_and_log(workspace: Workspace) -> None:
    with opened(workspace) as ledger:
        for request, person in (("r1", "anna"), ("r2", "bert")):
            approved(ledger, request, person, plan={"n_records": 3, "n_subjects_named": 1})
        execution = begun(ledger)
        deletion = ended(workspace, execution.batch)
        keep_evidence(workspace, deletion, ["r1", "r2"])
        with pytest.raises(RequestError, match="not completed"):
            letter_of(workspace, "r1")
        complete(ledger, execution)
    for request in ("r1", "r2"):
        folder = certified(workspace, request)
        assert isinstance(seal_evidence(workspace, request), Sealed)
        assert {link.request for link in proof.read_export(folder / "ledger.jsonl")} == {request}
        assert leads_to(folder, PERSON, OTHER) == []
    row = register_of(workspace, "r1")[0]
    assert (row.outcome, row.records, row.people, row.late) == ("completed", "3", "1", "no")
    assert len(row.certificate) == 64


def test_the_register_says_why_a_request_was_refused(workspace: Workspace) -> None:
    with opened(workspace) as ledger:
        put(ledger, "r1", "anna")
        decisions.deny(ledger, "r1", "legal claims, GDPR 17(3)(e)", ALICE)
        put(ledger, "r2", "bert")
    first, second = register_of(workspace)
    assert (first.outcome, first.ground, first.certificate) == ("denied", "legal claims, GDPR 17(3)(e)", "")
    assert second.done == "" and second.outcome == "queued"
    assert PERSON not in first.model_dump_json()
