"""The issuer's keys: the list that is published, and who signs with the newest of them.

`.tmu/certificate/keys.json` is the list (`tmu_verify.keys`), `.tmu/certificate/KEYID.pem` a private key, mode 600. With
the setting `certificate_signer` the private key lies in a key management service: `awskms:…`, `gcpkms:…`, `azurekms:…`,
`hsm:…`, as securesystemslib names them, and `certificate_public_key` is the PEM file of its public half.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmu_verify.envelope import canonical, parse
from tmu_verify.faults import Refused
from tmu_verify.keys import PAYLOAD_TYPE, SCHEMES, KeyList, fingerprint, open_keys

from tmu.errors import ConfigError, RequestError, StorageError
from tmu.files import write_atomic
from tmu.provenance import now
from tmu.stores.lock import locked
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from securesystemslib.signer import Signer, SSlibKey

NAME = "keys.json"
_NONE_SIGNS = "Rotate once more, or restore the private key."


class Keyring:
    """The keys of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder, self._settings = workspace.state("certificate"), workspace.settings
        named = self._settings.certificate_public_key
        self._public = None if named is None else workspace.root / named

    @property
    def path(self) -> Path:
        """The list that is published."""
        return self._folder / NAME

    def listed(self) -> KeyList:
        """The list as it stands, verified. Raises StorageError where it is damaged."""
        try:
            return open_keys(self.path.read_bytes())
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read.", "Check its permissions, or restore it.") from error
        except Refused as error:
            raise StorageError(f"{self.path.name} is damaged: {error.what}", "Restore it from a backup.") from error

    def signer(self) -> "Signer":
        """Who signs with the newest key that is in force. The first call makes key and list."""
        with locked(self._folder / "keys.lock"):
            if not self.path.exists():
                self._write(*self._added(_empty(self._issuer)))
            value = self._value()
            return self._signer_of(_newest(value))

    def rotate(self) -> str:
        """Put a new key in force and retire the one before; returns the new id. What that one signed stays valid.

        With a key management service: name its new key in the settings before. A key here signs the new list together
        with its successor, so that who trusts it can go on; then its private half is destroyed.
        """
        with locked(self._folder / "keys.lock"):
            before = self._value() if self.path.exists() else _empty(self._issuer)
            value, new = self._added(before)
            last = before["keys"][-1]["keyid"] if before["keys"] else None
            signers = [new, *([self._local(last)] if last and self._private(last).exists() else [])]
            self._write(value, *signers)
            if last:
                self._drop_private(last)
        return new.public_key.keyid

    def revoke(self, keyid: str, why: str) -> str:
        """Revoke a key from now on; returns its full id. A newer key takes over where it was the one in force.

        keyid: its beginning suffices. Raises RequestError for one that is not listed.
        """
        self.signer()
        with locked(self._folder / "keys.lock"):
            value = self._value()
            found = [each["keyid"] for each in value["keys"] if keyid and each["keyid"].startswith(keyid)]
            if len(found) != 1:
                raise RequestError(f"{len(found)} keys have that id.", "`tmu certificate keys` lists them.")
            if not _is_revoked(value, found[0]):
                value["revoked"].append({"keyid": found[0], "at": now(), "why": why})
            if _newest(value)["keyid"] == found[0]:
                value, signer = self._added(value)
            else:
                signer = self._signer_of(_newest(value))
            self._write(value, signer)
            self._drop_private(found[0])
        return found[0]

    def rows(self) -> list[dict[str, Any]]:
        """Every key with its state, newest last."""
        if not self.path.exists():
            return []
        return [
            {
                "keyid": keyid,
                "scheme": each.key.scheme,
                "from": each.since.isoformat(),
                "until": each.until and each.until.isoformat(),
                "state": "revoked" if each.revoked else "retired" if each.until else "in force",
                "revoked": each.revoked and each.revoked.isoformat(),
            }
            for keyid, each in self.listed().keys.items()
        ]

    @property
    def _issuer(self) -> str:
        return self._settings.issuer

    def _value(self) -> dict[str, Any]:
        from securesystemslib.dsse import Envelope

        self.listed()
        envelope = Envelope.from_dict(parse(self.path.read_bytes(), NAME))
        return parse(envelope.payload, NAME)

    def _added(self, value: dict[str, Any]) -> tuple[dict[str, Any], "Signer"]:
        """The list with a new key in force, and its signer; the key before is retired."""
        signer = self._new()
        key, at = signer.public_key, now()
        if (key.keytype, key.scheme) not in SCHEMES:
            raise ConfigError(f"Certificates are not signed by {key.scheme}.", "Use an Ed25519 key.")
        if key.keyid in {each["keyid"] for each in value["keys"]}:
            raise ConfigError("The key of `certificate_signer` is in the list already.", "Name its successor first.")
        keys = [each if each["until"] else each | {"until": at} for each in value["keys"]]
        one = {"keyid": key.keyid, "keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
        return value | {"issuer": self._issuer, "keys": [*keys, one | {"from": at, "until": None}]}, signer

    def _new(self) -> "Signer":
        uri = self._settings.certificate_signer
        if uri is not None:
            return _remote(uri, _public_key(self._public))
        from securesystemslib.signer import CryptoSigner

        made = CryptoSigner.generate_ed25519()
        key = made.public_key
        keyid = fingerprint(key.keytype, key.scheme, key.keyval)
        write_atomic(self._private(keyid), made.private_bytes)
        return self._local(keyid)

    def _signer_of(self, raw: dict[str, Any]) -> "Signer":
        path = self._private(raw["keyid"])
        if path.exists():
            return self._local(raw["keyid"])
        uri = self._settings.certificate_signer
        if uri is None:
            raise StorageError(f"The private key {raw['keyid'][:16]} is missing.", _NONE_SIGNS)
        key = _public_key(self._public)
        if key.keyid != raw["keyid"]:
            raise ConfigError(
                "`certificate_signer` names another key than the one in force.", "Run `tmu certificate rotate`."
            )
        return _remote(uri, key)

    def _local(self, keyid: str) -> "Signer":
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner, SSlibKey

        try:
            private = load_pem_private_key(self._private(keyid).read_bytes(), None)
        except (OSError, ValueError) as error:
            raise StorageError(f"The private key {keyid[:16]} cannot be read.", "Restore it, or rotate.") from error
        return CryptoSigner(private, SSlibKey.from_crypto(private.public_key(), keyid))

    def _private(self, keyid: str) -> Path:
        return self._folder / f"{keyid}.pem"

    def _drop_private(self, keyid: str) -> None:
        """A key that signs no more is destroyed: what it signed is verified by its public half."""
        self._private(keyid).unlink(missing_ok=True)

    def _write(self, value: dict[str, Any], *signers: "Signer") -> None:
        data = signed(canonical(value | {"issued": now()}), PAYLOAD_TYPE, signers)
        write_atomic(self.path, data)


def signed(payload: bytes, payload_type: str, signers: Iterable["Signer"]) -> bytes:
    """A DSSE envelope, as canonical JSON. Raises StorageError where a key management service does not sign."""
    from securesystemslib.dsse import Envelope

    envelope = Envelope(payload, payload_type, {})
    for signer in signers:
        try:
            envelope.sign(signer)
        except Exception as error:  # each service has errors of its own
            raise StorageError(
                f"The key of the certificates did not sign ({type(error).__name__}).", "Check `certificate_signer`."
            ) from error
    return canonical(envelope.to_dict())


def _remote(uri: str, key: "SSlibKey") -> "Signer":
    from securesystemslib.signer import Signer

    try:
        return Signer.from_priv_key_uri(uri, key)
    except Exception as error:  # each service has errors of its own
        raise ConfigError(
            f"Setting `certificate_signer` cannot be used ({type(error).__name__}).",
            "Write SCHEME:KEY as securesystemslib names it, and install what that service needs.",
        ) from error


def _public_key(path: Path | None) -> "SSlibKey":
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    if path is None:
        raise ConfigError("`certificate_signer` is set, but no `certificate_public_key`.", "Name its PEM file.")
    try:
        key = SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path.name} holds no public key in PEM.", "Fetch it from the service.") from error
    key.keyid = fingerprint(key.keytype, key.scheme, key.keyval)
    return key


def _empty(issuer: str) -> dict[str, Any]:
    return {"format": 1, "issued": "", "issuer": issuer, "keys": [], "revoked": []}


def _newest(value: dict[str, Any]) -> dict[str, Any]:
    return value["keys"][-1]


def _is_revoked(value: dict[str, Any], keyid: str) -> bool:
    return any(each["keyid"] == keyid for each in value["revoked"])
