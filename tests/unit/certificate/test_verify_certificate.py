"""A certificate verifies offline; every fault is caught by its name."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tmu_verify.envelope import canonical
from tmu_verify.faults import Fault, Refused
from tmu_verify.verify import Against, verify

from tests.certificate_tools import WEIGHTS, certificate, check, written
from tests.ledger_tools import Travel, approved, begun, complete, in_memory
from tmu.certificate import parts
from tmu.certificate.keyring import Keyring
from tmu.errors import GateError
from tmu.ledger import proof
from tmu.ledger.store import Ledger
from tmu.workspace import Workspace


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = in_memory(Travel())
    yield made
    made.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With a key that is there before any certificate is made."""
    made = Workspace.create(tmp_path / "w")
    Keyring(made).signer()
    return made


def fault(path: Path, **against: object) -> Fault:
    with pytest.raises(Refused) as refused:
        verify(path, Against(**against))
    return refused.value.fault


def test_a_certificate_verifies(workspace: Workspace, tmp_path: Path) -> None:
    path = written(workspace, certificate(), tmp_path / "c")
    found = verify(path, Against(request="r1"))
    assert found.statement.request == "r1"
    assert "request r1" in found.checked
    assert any("keys" in each for each in found.not_checked)
    assert verify(path, Against(keys=path.with_name("keys.json"))).signed_by == found.signed_by


def test_no_flipped_byte_verifies(workspace: Workspace, tmp_path: Path) -> None:
    """Each byte of the file, each bit of it in turn; so for the list of keys."""
    path = written(workspace, certificate(), tmp_path / "c")
    for file in (path, path.with_name("keys.json")):
        data = file.read_bytes()
        for position in range(len(data)):
            flipped = bytearray(data)
            flipped[position] ^= 1 << position % 8
            file.write_bytes(flipped)
            with pytest.raises(Refused):
                verify(path)
        file.write_bytes(data)
    verify(path)
    path.write_bytes(path.read_bytes() + b"\n")
    assert fault(path) is Fault.NOT_CANONICAL


def test_the_certificate_of_another_request_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    path = written(workspace, certificate("r2"), tmp_path / "c")
    assert fault(path, request="r1") is Fault.WRONG_REQUEST


def test_a_statement_that_is_signed_by_nobody_known_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    path = written(workspace, certificate(), tmp_path / "c")
    other = Workspace.create(tmp_path / "other")
    forged = written(other, certificate(), tmp_path / "f")
    assert fault(forged, keys=path.with_name("keys.json")) is Fault.UNKNOWN_KEY
    raw = json.loads(path.read_bytes())
    payload = base64.b64decode(raw["payload"]).replace(b'"r1"', b'"r2"')
    raw["payload"] = base64.b64encode(payload).decode()
    path.write_bytes(canonical(raw))
    assert fault(path) is Fault.BAD_SIGNATURE


def test_a_swapped_model_is_caught(workspace: Workspace, tmp_path: Path) -> None:
    path = written(workspace, certificate(), tmp_path / "c")
    model = tmp_path / "model"
    model.mkdir()
    assert fault(path, model=model) is Fault.MODEL_SWAPPED
    (model / "weights.safetensors").write_bytes(WEIGHTS)
    verify(path, Against(model=model))
    (model / "weights.safetensors").write_bytes(WEIGHTS + b"!")
    assert fault(path, model=model) is Fault.MODEL_SWAPPED


def test_evidence_that_is_missing_or_changed_is_caught(workspace: Workspace, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"report").hexdigest()
    path = written(workspace, certificate(), tmp_path / "c", {"report.html": digest})
    assert fault(path, bundle=path.parent) is Fault.BUNDLE_INCOMPLETE
    (path.parent / "report.html").write_bytes(b"report")
    verify(path, Against(bundle=path.parent))
    (path.parent / "report.html").write_bytes(b"Report")
    assert fault(path, bundle=path.parent) is Fault.BUNDLE_CHANGED
    (path.parent / "report.html").write_bytes(b"report")
    (path.parent / "SHA256SUMS").write_text(f"{digest}  more.txt\n")
    assert fault(path, bundle=path.parent) is Fault.BUNDLE_INCOMPLETE
    (path.parent / "SHA256SUMS").write_text(f"{digest}  ../more.txt\n")
    assert fault(path, bundle=path.parent) is Fault.BUNDLE_CHANGED


def test_nothing_but_pass_is_certified(workspace: Workspace, tmp_path: Path) -> None:
    for result in ("FAILED", "UNKNOWN"):
        for name in ("verification", "validation"):
            with pytest.raises(GateError, match=f"{name} ended with {result}"):
                written(workspace, certificate(**{name: check(result)}), tmp_path / "c")
    with pytest.raises(ValueError, match="each kind of attack"):
        certificate(attacks=(parts.Attack(name="membership", state="run", why="x"),))


def logged(ledger: Ledger, file: Path) -> parts.LogHead:
    """A log with one finished request, exported; its head."""
    approved(ledger, "r1")
    complete(ledger, begun(ledger))
    head = proof.export(ledger, file)
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    mine = tuple(each["seq"] for each in entries if each["request"] == "r1")
    return parts.LogHead(seq=head.seq, hash=head.hash, entries=mine)


def test_a_log_is_compared_with_the_head(workspace: Workspace, ledger: Ledger, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    head = logged(ledger, log)
    path = written(workspace, certificate(log=head), tmp_path / "c")
    verify(path, Against(log=log))
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    assert fault(path, log=log) is Fault.LOG_CUT
    log.write_bytes(b"".join(lines[2:]))  # it begins after entries of the request
    assert fault(path, log=log) is Fault.LOG_CUT
    log.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    assert fault(path, log=log) is Fault.LOG_CUT
    log.write_bytes(b"".join(lines).replace(b"2026", b"2025", 1))
    assert fault(path, log=log) is Fault.LOG_BROKEN
    log.write_bytes(b"no entry\n")
    assert fault(path, log=log) is Fault.LOG_BROKEN
    log.write_bytes(_recomputed(lines))
    assert fault(path, log=log) is Fault.LOG_REWRITTEN
    assert fault(written(workspace, certificate(), tmp_path / "c"), log=log) is Fault.LOG_REWRITTEN


def _recomputed(lines: list[bytes]) -> bytes:
    """The same log with another reason in an entry, and every hash after it made new: it holds together."""
    out, previous = [], "0" * 64
    for line in lines:
        entry = json.loads(line)
        body = json.loads(entry["body"]) | {"previous": previous}
        body["reason"] = "another" if entry["seq"] == 2 else body["reason"]
        entry["body"] = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        entry["hash"] = previous = hashlib.sha256(entry["body"].encode()).hexdigest()
        out.append(json.dumps(entry).encode() + b"\n")
    return b"".join(out)
