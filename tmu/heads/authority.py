"""Time stamps by RFC 3161: an authority signs that bytes existed at a time. It keeps nothing; we keep its answers."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tmu.errors import ConfigError, DataError
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

SECONDS = 10
_MOST_BYTES = 1 << 20
_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"


class Authority:
    """A time stamp authority. url, host: where it answers. roots: a PEM file with its root certificates."""

    def __init__(self, url: str, roots: Path) -> None:
        try:
            self.host = httpx.URL(url).host
        except httpx.InvalidURL:
            self.host = ""
        if not self.host:
            raise ConfigError("Setting `timestamp_url` is no address of a web server.", "Write https://HOST/PATH.")
        self.url, self._roots = url, roots

    def stamp(self, data: bytes) -> bytes:
        """Its answer for these bytes, checked. Raises httpx.HTTPError where there is none, DataError for a bad one."""
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        builder = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
        request = builder.cert_request(cert_request=True).nonce(nonce=True).build()
        answer = self._ask(request.as_bytes())
        self.verified(answer, data, request.nonce)
        return answer

    def verified(self, answer: bytes, data: bytes, nonce: int | None = None) -> "TimeStampResponse":
        """The answer, if the authority signed it for these bytes. Raises DataError."""
        from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

        builder = VerifierBuilder(roots=list(self.certificates), nonce=nonce)
        try:
            response = decode_timestamp_response(answer)
            builder.build().verify_message(response, data)
        except (VerificationError, ValueError) as error:
            raise DataError(
                "The time stamp is not one of this authority for these bytes.",
                "Compare with a copy; check `timestamp_ca`, the authority's root certificates.",
            ) from error
        return response

    @cached_property
    def certificates(self) -> list[Any]:
        """Its root certificates. Raises ConfigError."""
        from cryptography.x509 import load_pem_x509_certificates

        try:
            return load_pem_x509_certificates(self._roots.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"Setting `timestamp_ca`: {self._roots} holds no certificates in PEM.",
                "Name a file with the authority's root certificate.",
            ) from error

    def _ask(self, query: bytes) -> bytes:
        headers = {"Content-Type": _QUERY, "Accept": _REPLY, "User-Agent": "tmu"}
        with httpx.stream("POST", self.url, content=query, headers=headers, timeout=SECONDS) as response:
            response.raise_for_status()
            data = b""
            for part in response.iter_bytes():
                data += part
                if len(data) > _MOST_BYTES:
                    raise DataError("The authority's answer is too long.", "Check `timestamp_url`.")
        return data


def authority_of(workspace: Workspace) -> Authority | None:
    """The authority that the settings name. Raises ConfigError for a setting that cannot be used."""
    settings = workspace.settings
    if settings.timestamp_url is None:
        return None
    if settings.timestamp_ca is None:
        raise ConfigError(
            "`timestamp_url` is set, but no `timestamp_ca`.",
            "Name a PEM file with the authority's root certificate: without it nobody can check its stamps.",
        )
    return Authority(settings.timestamp_url, workspace.root / settings.timestamp_ca)
