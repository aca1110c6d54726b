"""Certificates of deletions: issued once, for the embedded workspace and for requests of the ledger; or refused."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tmu_verify.faults import Fault, Refused
from tmu_verify.verify import Against, verify

from tests.cli_tools import bad, good
from tests.ledger_tools import KEYS, approved, begun, complete, events
from tests.purge_tools import erased
from tests.service_tools import Api, described_home
from tests.time_authority import authority
from tmu.certificate.keyring import Keyring
from tmu.deletion.deletion import AuditVerdict, Deletion, Outcome, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.files import write_json
from tmu.manifest import digest
from tmu.purge.summary import Line, Model, PurgeSummary
from tmu.purge.trace import Action, Holds, Trace
from tmu.refs import AuditRef, ModelRef
from tmu.search.report import Access, Haystack, Hit, Needles, Principal, SearchReport
from tmu.service.roles import Role
from tmu.steps.check_certificate import check_certificate
from tmu.steps.issue_certificate import Issued, NotIssued, issue_certificate
from tmu.steps.stored_certificate import folder_of, shown, stored
from tmu.steps.tell_consumers import Told
from tmu.workspace import Workspace

DONE = "2026-03-10T12:00:00+00:00"
PERSON, RECORDS = KEYS.subject("Annabel-Quist"), (KEYS.record("Quist/1.png"), KEYS.record("Quist/2.png"))
TOLD = Told(
    consumer="1234abcd", way="webhook", message="m", told=DONE, versions=(), answer="delivered", at=DONE
)  # fmt: skip
CELL = {"value": 0.5, "low": 0.25, "high": 0.75}
AUDIT = {
    "verdict": {"row": "tmu-soft", "passed": True, "conclusive": True, "reasons": ["passed: within the floor"]},
    "sentence": "Nothing is left of the 2 records.",
    "old_versions": "Whoever has both models tells the deleted from others with an AUC of 61 %.",
    "membership": {"power": {"convicted": True, "p_value": 0.001, "share": 0.2, "smallest": 1.0, "original": 5.0}},
    "provenance": {"references": "9" * 64},
    "result": {
        "records": {"forget": 2}, "golds": [], "references": 2,
        "metrics": [{"name": "membership_evidence", "unit": "s.d.", "better": "gold"}],
        "floor": {"membership_evidence": {"value": 0.0, "low": -1.96, "high": 1.96}},
        "rows": [
            {"name": "original", "metrics": {"membership_evidence": {"value": 9.0, "low": 7.0, "high": 11.0}}},
            {"name": "tmu-soft", "metrics": {"membership_evidence": CELL, "ua": None}},
        ],
    },
}  # fmt: skip


def summary(deletion: Deletion, **changes: Any) -> PurgeSummary:
    learned = Trace(
        place="artifacts", address="model/abc", holds=Holds.WEIGHTS, action=Action.KEEP, why="for a week", until=DONE
    )
    lines = (
        Line(place="DVC's cache", action=Action.DESTROY, holds=Holds.IMAGES, count=3, result="gone"),
        Line(place="bucket", action=Action.EXPIRE, holds=Holds.IMAGES, count=1, result="stays", why="Object Lock",
             until="2026-06-01"),
    )  # fmt: skip
    fields = {
        "request": deletion.id, "tool": "tmu 1", "planned": DONE, "acted": DONE, "verified": DONE, "lines": lines,
        "places": ("DVC's cache", "artifacts", "bucket", "journal"), "models": (Model(trace=learned, result="stays"),),
        "n_records": 2, "n_subjects": 1, "n_shards": 1, "commitments": {"records": "c" * 64, "subjects": "e" * 64},
    }  # fmt: skip
    return PurgeSummary(**fields | changes)


def searched(workspace: Workspace, deletion: Deletion, *hits: Hit) -> None:
    """The independent search has been there."""
    report = SearchReport(
        tool="tmu search 1", started=DONE, finished=DONE, workspace="w", needles=Needles(keys=3), hits=hits,
        principal=Principal(
            account="auditor (uid 7)", credentials="s3_read_key",
            accesses=(Access(store="bucket", can_write=False, how="a write was refused"),),
        ),
        haystacks=(Haystack(name="workspace", address=".", things=9),),
    )  # fmt: skip
    write_json(workspace.state("searches", f"{deletion.id}.json"), report.as_json())


def audited(workspace: Workspace) -> dict[str, Any]:
    """Facts of a deletion: an audit and the model that it lets serve, both in the artifacts."""
    with workspace.artifacts.create("audit", "aud", {"stage": "audit"}) as folder:
        write_json(folder / "audit.json", AUDIT)
    with workspace.artifacts.create("model", "mod", {"stage": "unlearn", "code": "7" * 64}) as folder:
        (folder / "weights.safetensors").write_bytes(b"weights")
    found = workspace.artifacts.find("model", "mod")
    weights = hashlib.sha256(b"weights").hexdigest()
    model = ModelRef(uri="model/mod", digest=digest(found), weights=weights, role="unlearned")
    audit = AuditRef(uri="audit/aud", digest=digest(workspace.artifacts.find("audit", "aud")))
    outcome = Outcome(
        audit=audit, verdict=AuditVerdict.of(AUDIT["verdict"]), versions={"tmu-soft": 2}, champion=2, serves=model,
        service="Version 2 serves.", compare="",
    )  # fmt: skip
    return {"unlearned": model, "outcome": outcome}


def ended(workspace: Workspace, **asked: Any) -> Deletion:
    """A deletion that was erased, audited, purged and searched."""
    deletion = erased(workspace)
    if asked:
        deletion = deletion.model_copy(update={"asked": Asked(**asked)})
    facts = audited(workspace)
    deletion = Journal(workspace)._write(deletion.reached(Stage.AUDITED, **facts))
    deletion = Journal(workspace).advance(deletion, Stage.COMPLETED, purged=summary(deletion))
    searched(workspace, deletion)
    return deletion


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    home = described_home(tmp_path)
    (home / "tmu.toml").write_text(
        'issuer = "The Museum"\nissuer_contact = "privacy@museum.example"\n'
        '[[backups]]\nname = "nightly copies on tape"\ndays = 30\n'
    )
    return Workspace.open(home)


def issued(workspace: Workspace, deletion: Deletion, **more: Any) -> Issued:
    (found,) = issue_certificate(workspace, deletion, **more)
    assert isinstance(found, Issued), found
    return found


def refused(workspace: Workspace, deletion: Deletion) -> str:
    (found,) = issue_certificate(workspace, deletion)
    assert isinstance(found, NotIssued)
    assert not (folder_of(workspace, deletion.id) / "certificate.json").exists()
    return found.why


def test_an_embedded_deletion_is_certified_in_every_field(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletion = ended(workspace)
    folder_of(workspace, deletion.id).mkdir(parents=True)
    (folder_of(workspace, deletion.id) / "report.html").write_text("<p>")
    monkeypatch.setattr("tmu.steps.issue_certificate.consumers_told", lambda *_: [TOLD])
    found = issued(workspace, deletion)
    path = workspace.root / found.path
    statement = verify(path, Against(request=deletion.id, bundle=path.parent, keys=Keyring(workspace).path)).statement
    said = statement.predicate
    assert set(statement.files()) == {"report.html", "model.sig", "model.pub"}
    assert statement.subjects["data-revision"] == {"md5": "2"}
    assert said["issuer"] == {"name": "The Museum", "contact": "privacy@museum.example"}
    assert (said["scope"]["records"], said["scope"]["commitments"]["records"]) == (2, "c" * 64)
    assert said["grounds"][0]["records"] == 2
    stores = {(each["store"], each["result"], each["copies"]) for each in said["inventory"]}
    assert stores == {
        ("DVC's cache", "gone", 3), ("bucket", "stays", 1), ("artifacts", "nothing found", 0),
        ("journal", "nothing found", 0),
    }  # fmt: skip
    assert (said["models"][0]["fate"], said["models"][0]["why"]) == ("kept", "for a week")
    assert said["models"][-1]["fate"] == "retrained"
    assert said["not_reached"][0]["expires"] == "2026-06-01"
    assert said["not_reached"][1]["what"] == "nightly copies on tape"
    assert (said["making"]["code"], said["making"]["exact"]) == ("7" * 64, True)
    measures = {(each["model"], each["metric"]): each for each in said["audit"]["measures"]}
    assert measures["tmu-soft", "membership_evidence"] | CELL == measures["tmu-soft", "membership_evidence"]
    assert measures["original", "membership_evidence"]["floor"] == [0, -1.96, 1.96]
    assert said["audit"]["power"] == {"convicted": True, "p_value": 0.001, "share": 0.2}
    assert {each["name"]: each["state"] for each in said["attacks"]} == {
        "attribute": "not run", "difference of versions": "run", "extraction": "out of scope", "inversion": "not run",
        "membership": "run",
        "reconstruction": "not run",
    }  # fmt: skip
    assert (said["verification"]["result"], said["validation"]["result"]) == ("PASS", "PASS")
    assert said["verification"]["by"] != said["validation"]["by"]
    assert said["validation"]["read_only"] is True
    assert said["recipients"] == [{"name": "webhook 1234abcd", "told": DONE, "answer": f"delivered {DONE}"}]
    assert said["log"] is None and said["time_stamp"] is None
    assert said["not_proven"] and said["mark"]["until"]


def test_nothing_in_it_leads_to_a_person(workspace: Workspace) -> None:
    deletion = ended(workspace, subjects=(PERSON,), records=RECORDS)
    assert PERSON in Journal(workspace).find(deletion.id).model_dump_json()
    path = workspace.root / issued(workspace, deletion).path
    text = base64.b64decode(json.loads(path.read_bytes())["payload"]).decode()
    for secret in (PERSON, *RECORDS, "Quist", "auditor (uid", str(workspace.root)):
        assert secret not in text


def test_it_is_issued_once(workspace: Workspace) -> None:
    deletion = ended(workspace)
    first = issued(workspace, deletion)
    data = (workspace.root / first.path).read_bytes()
    Keyring(workspace).rotate()
    assert issued(workspace, deletion) == first
    assert (workspace.root / first.path).read_bytes() == data


def test_without_pass_there_is_none(workspace: Workspace) -> None:
    deletion = ended(workspace)
    workspace.state("searches", f"{deletion.id}.json").unlink()
    assert "validation ended with UNKNOWN. No independent search" in refused(workspace, deletion)
    searched(workspace, deletion, Hit(haystack="workspace", address="x", by="key", needles=1))
    assert "validation ended with FAILED. 1 hit in 9" in refused(workspace, deletion)
    searched(workspace, deletion)
    open_ = Line(place="bucket", action=Action.DESTROY, holds=Holds.IMAGES, count=2, result="failed")
    failed = deletion.model_copy(update={"purged": summary(deletion, lines=(open_,))})
    assert "verification ended with FAILED. The purge left 2 copies" in refused(workspace, failed)
    unchecked = deletion.model_copy(update={"purged": summary(deletion, verified="")})
    assert "verification ended with UNKNOWN" in refused(workspace, unchecked)
    assert "nothing was purged" in refused(workspace, deletion.model_copy(update={"purged": None}))


def test_the_authority_stamps_it_and_its_stamp_outlives_a_revocation(workspace: Workspace, tmp_path: Path) -> None:
    with authority(tmp_path / "tsa") as stamping:
        (tmp_path / "roots.pem").write_bytes(stamping.root.read_bytes())
        settings = {"timestamp_url": stamping.url, "timestamp_ca": Path("roots.pem")}
        workspace = Workspace(workspace.root, workspace.settings.model_copy(update=settings))
        deletion = ended(workspace)
        stamping.down = True
        (away,) = issue_certificate(workspace, deletion)
        assert isinstance(away, NotIssued) and "time stamp authority does not answer" in away.why
        stamping.down = False
        found = issued(workspace, deletion)
    path = workspace.root / found.path
    assert found.stamped
    assert any("time stamp of" in each for each in check_certificate(workspace, deletion.id).checked)
    keys, roots = Keyring(workspace).path, tmp_path / "roots.pem"
    time.sleep(1.1)  # stamps and keys count in seconds
    Keyring(workspace).revoke(Keyring(workspace).rows()[0]["keyid"], "stolen afterwards")
    assert verify(path, Against(keys=keys, roots=roots)).stamped
    assert _fault(path, keys=keys) is Fault.KEY_REVOKED
    stamp = path.with_name("certificate.json.tsr")
    whole = stamp.read_bytes()
    stamp.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert _fault(path, keys=keys, roots=roots) is Fault.BAD_TIME_STAMP
    stamp.unlink()
    assert _fault(path, keys=keys, roots=roots) is Fault.NO_TIME_STAMP


def _fault(path: Path, **against: Any) -> Fault:
    with pytest.raises(Refused) as found:
        verify(path, Against(**against))
    return found.value.fault


@pytest.fixture
def api(workspace: Workspace) -> Iterator[Api]:
    made = Api(workspace.root)
    yield made
    made.close()


def test_each_request_of_a_batch_has_its_own_bound_to_the_log(api: Api, workspace: Workspace) -> None:
    for name in ("r1", "r2"):
        approved(api.ledger, name, dataset="digits")
    execution = begun(api.ledger, "digits")
    deletion = ended(workspace, batch=execution.batch)
    (early,) = issue_certificate(workspace, deletion, ["r1"])
    assert isinstance(early, NotIssued) and "not completed" in early.why
    none = api.bad(Role.AUDITOR, "GET", "/requests/r1/certificate", status=409)
    assert "not completed" in none
    complete(api.ledger, execution)
    assert "has no certificate" in api.bad(Role.AUDITOR, "GET", "/requests/r1/certificate", status=409)
    assert "There is no key yet" in api.bad(Role.AUDITOR, "GET", "/certificate-keys", status=409)
    first, second = issue_certificate(workspace, deletion, ["r1", "r2"])
    assert isinstance(first, Issued) and isinstance(second, Issued)
    assert events(api.ledger, "r1")[-1] == "evidence"  # the log names the certificate
    answer = api.call(Role.AUDITOR, "GET", "/requests/r1/certificate")
    assert answer.content == stored(workspace, "r1").read_bytes()
    assert "attachment" in answer.headers["content-disposition"]
    listed = api.call(Role.AUDITOR, "GET", "/certificate-keys").content
    assert listed == Keyring(workspace).path.read_bytes()
    said = shown(stored(workspace, "r1"))["predicate"]
    assert said["dates"]["due"] and said["log"]["entries"]
    assert _fault(stored(workspace, "r2"), request="r1") is Fault.WRONG_REQUEST
    for name in ("r1", "r2"):
        assert any("entries of the audit log" in each for each in check_certificate(workspace, name).checked)
    value = good(workspace.root, "certificate", "issue", "r1")
    assert value["sha256"] == first.sha256
    model = workspace.artifacts.find("model", "mod")
    (model / "weights.safetensors").write_bytes(b"swapped")
    line = bad(workspace.root, "verify", stored(workspace, "r1"), "--model", model, code=16)
    assert "model_swapped" in line


def test_the_verbs(workspace: Workspace) -> None:
    deletion, home = ended(workspace), workspace.root
    assert good(home, "certificate", "keys") == []
    assert "There is no certificate" in bad(home, "certificate", "show", deletion.id, code=7)
    assert good(home, "certificate", "issue", deletion.id)["request"] == deletion.id
    assert good(home, "certificate", "show", deletion.id)["predicate"]["request"] == deletion.id
    assert good(home, "certificate", "verify", deletion.id)["verified"] is True
    (key,) = good(home, "certificate", "keys")
    path = stored(workspace, deletion.id)
    assert good(home, "verify", path, "--request", deletion.id)["signed_by"] == [key["keyid"]]
    assert "wrong_request" in bad(home, "verify", path, "--request", "another", code=13)
    new = good(home, "certificate", "rotate")["keyid"]
    assert good(home, "certificate", "verify", deletion.id)["verified"] is True
    good(home, "certificate", "revoke", key["keyid"][:10], "--reason", "lost")
    assert "key_revoked" in bad(home, "certificate", "verify", deletion.id, code=12)
    assert {row["keyid"]: row["state"] for row in good(home, "certificate", "keys")}[new] == "in force"
