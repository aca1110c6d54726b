"""The keys of certificates: made, rotated, revoked, held by a service; and what a certificate is worth then."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Signature, Signer, SSlibKey
from tmu_verify.faults import Fault, Refused
from tmu_verify.verify import Against, verify

from tests.certificate_tools import certificate, written
from tmu.certificate.keyring import Keyring
from tmu.errors import ConfigError, RequestError, StorageError
from tmu.permissions import exposed
from tmu.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def fault(path: Path, **against: Any) -> Fault:
    with pytest.raises(Refused) as refused:
        verify(path, Against(**against))
    return refused.value.fault


def shifted(**by: float) -> str:
    return (datetime.now(UTC) + timedelta(**by)).isoformat(timespec="seconds")


def test_the_first_use_makes_a_private_key_and_a_public_list(workspace: Workspace) -> None:
    ring = Keyring(workspace)
    assert ring.rows() == []
    keyid = ring.signer().public_key.keyid
    assert ring.signer().public_key.keyid == keyid
    (private,) = workspace.state("certificate").glob("*.pem")
    assert private.stat().st_mode & 0o777 == 0o600
    assert exposed(ring.path) == []  # else the doctor fails after the first certificate
    assert [(row["keyid"], row["state"]) for row in ring.rows()] == [(keyid, "in force")]
    assert private.read_bytes() not in ring.path.read_bytes()


def test_after_a_rotation_old_certificates_stay_valid_and_the_old_key_signs_no_more(
    workspace: Workspace, tmp_path: Path
) -> None:
    ring = Keyring(workspace)
    path = written(workspace, certificate(), tmp_path / "c")
    before, old = ring.path.read_bytes(), ring.signer()
    new = ring.rotate()
    assert [row["state"] for row in ring.rows()] == ["retired", "in force"]
    assert [file.stem for file in workspace.state("certificate").glob("*.pem")] == [new]
    verify(path, Against(keys=ring.path))
    assert set(_signers(ring.path)) == {old.public_key.keyid, new}  # who trusts the old list can go on
    later = _signed_by(old, certificate(issued=shifted(hours=1)), tmp_path / "later")
    assert fault(later, keys=ring.path) is Fault.KEY_NOT_IN_FORCE
    early = written(workspace, certificate(issued=shifted(hours=-1)), tmp_path / "early")
    assert fault(early, keys=ring.path) is Fault.KEY_NOT_IN_FORCE
    (tmp_path / "before.json").write_bytes(before)
    assert fault(written(workspace, certificate(), tmp_path / "n"), keys=tmp_path / "before.json") is Fault.UNKNOWN_KEY


def test_what_a_revoked_key_signed_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    ring = Keyring(workspace)
    path = written(workspace, certificate(), tmp_path / "c")
    verify(path, Against(keys=ring.path))
    old = ring.signer()
    revoked = ring.revoke(old.public_key.keyid[:12], "the laptop was stolen")
    assert revoked == old.public_key.keyid
    assert [row["state"] for row in ring.rows()] == ["revoked", "in force"]
    assert fault(path, keys=ring.path) is Fault.KEY_REVOKED
    reused = _signed_by(old, certificate(issued=shifted(hours=1)), tmp_path / "reused")
    assert fault(reused, keys=ring.path) is Fault.KEY_REVOKED
    assert revoked not in _signers(ring.path)
    verify(written(workspace, certificate(), tmp_path / "n"), Against(keys=ring.path))
    assert ring.revoke(revoked, "again") == revoked
    assert len(ring.rows()) == 2
    with pytest.raises(RequestError, match="0 keys have that id"):
        ring.revoke("zz", "?")


def test_a_list_that_a_revoked_key_signed_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """A thief takes the revocation back with the stolen key; who still has the list of before sees a later one."""
    ring = Keyring(workspace)
    old = ring.signer()
    ring.revoke(old.public_key.keyid, "stolen")
    from tmu_verify.envelope import canonical
    from tmu_verify.keys import PAYLOAD_TYPE, read_keys

    from tmu.certificate.keyring import signed

    forged = tmp_path / "keys.json"
    forged.write_bytes(signed(canonical(ring._value()), PAYLOAD_TYPE, [old]))
    with pytest.raises(Refused, match="revoked keys alone"):
        read_keys(forged)


def test_a_damaged_list_or_a_lost_key_is_told(workspace: Workspace) -> None:
    ring = Keyring(workspace)
    ring.signer()
    for private in workspace.state("certificate").glob("*.pem"):
        private.unlink()
    with pytest.raises(StorageError, match="missing"):
        ring.signer()
    ring.path.write_bytes(ring.path.read_bytes().replace(b'"signatures"', b'"signaturez"'))
    with pytest.raises(StorageError, match="damaged"):
        ring.signer()


class Service(Signer):
    """A key management service: it signs and never gives its key away."""

    keys: dict[str, Ed25519PrivateKey] = {}  # noqa: RUF012
    down = False

    def __init__(self, private: Ed25519PrivateKey, public: SSlibKey):
        self._private, self._public = private, public

    @property
    def public_key(self) -> SSlibKey:
        return self._public

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Any, secrets_handler: Any = None) -> "Service":
        return cls(cls.keys[priv_key_uri], public_key)

    def sign(self, payload: bytes) -> Signature:
        if self.down:
            raise TimeoutError
        return Signature(self._public.keyid, self._private.sign(payload).hex())


@pytest.fixture
def service(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose certificates are signed by the service."""
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "fakekms", Service)
    _new_key(workspace, "one")
    return _with_key(workspace, "one")


def _new_key(workspace: Workspace, name: str) -> None:
    private = Service.keys[f"fakekms:{name}"] = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (workspace.root / f"{name}.pem").write_bytes(pem)


def _with_key(workspace: Workspace, name: str) -> Workspace:
    uses = {"certificate_signer": f"fakekms:{name}", "certificate_public_key": Path(f"{name}.pem")}
    return Workspace(workspace.root, workspace.settings.model_copy(update=uses))


def test_a_service_signs_and_its_key_is_nowhere_here(
    service: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(service, certificate(), tmp_path / "c")
    verify(path)
    assert list(service.state("certificate").glob("*.pem")) == []
    with pytest.raises(ConfigError, match="in the list already"):
        Keyring(service).rotate()
    _new_key(service, "two")
    second = _with_key(service, "two")
    with pytest.raises(ConfigError, match="another key than the one in force"):
        Keyring(second).signer()
    monkeypatch.setattr(Service, "down", True)
    with pytest.raises(StorageError, match="did not sign \\(TimeoutError\\)"):
        written(service, certificate(), tmp_path / "c")


def test_a_rotation_of_the_service_needs_its_new_key_alone(service: Workspace, tmp_path: Path) -> None:
    path = written(service, certificate(), tmp_path / "c")
    _new_key(service, "two")
    second = _with_key(service, "two")
    Keyring(second).rotate()
    verify(path, Against(keys=Keyring(second).path))
    verify(written(second, certificate(), tmp_path / "n"))


def test_a_service_without_its_public_key_is_refused(workspace: Workspace) -> None:
    update = {"certificate_signer": "nokms:x"}
    wanting = Workspace(workspace.root, workspace.settings.model_copy(update=update))
    with pytest.raises(ConfigError, match="no `certificate_public_key`"):
        Keyring(wanting).signer()
    _new_key(workspace, "one")
    update["certificate_public_key"] = Path("one.pem")
    unknown = Workspace(workspace.root, workspace.settings.model_copy(update=update))
    with pytest.raises(ConfigError, match="cannot be used"):
        Keyring(unknown).signer()


def _signers(path: Path) -> list[str]:
    import json

    return [each["keyid"] for each in json.loads(path.read_bytes())["signatures"]]


def _signed_by(signer: CryptoSigner, made: Any, folder: Path) -> Path:
    from tmu_verify.envelope import canonical
    from tmu_verify.statement import PAYLOAD_TYPE

    from tmu.certificate.certificate import statement_of
    from tmu.certificate.keyring import signed

    folder.mkdir()
    path = folder / "certificate.json"
    path.write_bytes(signed(canonical(statement_of(made, None, {})), PAYLOAD_TYPE, [signer]))
    return path
