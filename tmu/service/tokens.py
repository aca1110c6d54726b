"""Bearer tokens: 256 random bits, shown once, kept as SHA-256 in `.tmu/tokens.json` (owner only).

No slow hash: that is for secrets that can be guessed. 2^256 values cannot be gone through, whatever one try costs, and
a slow hash would let anybody burn our processor with wrong tokens. Why a file and not the ledger: docs/decisions/0008.
Making and revoking one is an entry in the ledger's audit log, whose transaction also keeps two writers apart.
"""

import hashlib
import hmac
import secrets
import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from tmu.config import Config
from tmu.errors import RequestError, StorageError
from tmu.files import canonical_json, storage_errors, write_atomic
from tmu.ledger.actor import Actor
from tmu.ledger.errors import UnknownError
from tmu.ledger.store import Ledger, utc_now
from tmu.service.roles import Role
from tmu.workspace import Workspace

PREFIX = "tmu_"
"""So that scanners for leaked secrets, and people, know one when they see it."""
MOST_DAYS = 366


class Token(Config):
    """What is kept of a token. sha256: the digest (hex) of its text, which is kept nowhere."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}$")]
    name: str
    roles: tuple[Role, ...] = Field(min_length=1)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime
    expires: AwareDatetime
    revoked: AwareDatetime | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it may still be used."""
        return self.revoked is None and now < self.expires

    def actor(self) -> Actor:
        """Whom it proves."""
        return Actor(self.name, "token")


class _File(Config):
    tokens: tuple[Token, ...] = ()


class Tokens:
    """The tokens of a workspace, read again when the file changes: what is revoked is refused at the next call."""

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self.path, self.now = path, now
        self._seen: tuple[int, ...] | None = None
        self._tokens: tuple[Token, ...] = ()

    def find(self, text: str) -> Token | None:
        """The valid token of that text. Every digest is compared, each in constant time: how long it takes tells
        nothing of how near a guess was. Raises StorageError for a file that is damaged or that others may write.
        """
        digest, found = digest_of_token(text), None
        for token in self.all():
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found if found is not None and found.valid(self.now()) else None

    def all(self) -> tuple[Token, ...]:
        """All that were ever made, oldest first."""
        with storage_errors(self.path):
            try:
                facts = self.path.stat()
            except FileNotFoundError:
                return ()
            if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise StorageError("The file of tokens can be written by others.", "Check it, then `chmod 600` it.")
            seen = (facts.st_mtime_ns, facts.st_ino, facts.st_size)
            if seen != self._seen:
                self._tokens, self._seen = _read(self.path), seen
            return self._tokens


def tokens_of(workspace: Workspace) -> Tokens:
    """The tokens of a workspace."""
    return Tokens(workspace.state("tokens.json"))


def digest_of_token(text: str) -> str:
    """SHA-256 (hex) of a token's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def create(ledger: Ledger, tokens: Tokens, name: str, roles: list[Role], days: int, actor: Actor) -> tuple[Token, str]:
    """Make a token; returns it with its text, which nothing can show again. Raises RequestError."""
    holder = Actor(name, "token")  # the form of the name is checked here
    if not roles or not 1 <= days <= MOST_DAYS:
        raise RequestError("A token needs a role and an end.", f"Give at least one role and 1 to {MOST_DAYS} days.")
    text = PREFIX + secrets.token_urlsafe(32)
    with ledger.write(actor) as tx:
        token = Token(
            id=secrets.token_hex(4),
            name=holder.name,
            roles=tuple(sorted(set(roles))),
            sha256=digest_of_token(text),
            created=tokens.now(),
            expires=tokens.now() + timedelta(days=days),
        )
        tx.log("token_created", None, token=token.id, name=token.name, roles=[*token.roles], days=days)
        _write(tokens, (*tokens.all(), token))
    return token, text


def revoke(ledger: Ledger, tokens: Tokens, token_id: str, actor: Actor) -> Token:
    """Revoke a token, from the next call on. Once more keeps the first time. Raises UnknownError."""
    with ledger.write(actor) as tx:
        known = {token.id: token for token in tokens.all()}
        if token_id not in known:
            raise UnknownError("There is no token of that id.", "`tmu token list` lists them.")
        old = known[token_id]
        known[token_id] = old.model_copy(update={"revoked": old.revoked or tokens.now()})
        tx.log("token_revoked", None, token=token_id, name=old.name)
        _write(tokens, tuple(known.values()))
    return known[token_id]


def _write(tokens: Tokens, all_: tuple[Token, ...]) -> None:
    content = _File(tokens=all_).model_dump(mode="json")
    write_atomic(tokens.path, canonical_json(content) + b"\n")


def _read(path: Path) -> tuple[Token, ...]:
    try:
        return _File.model_validate_json(path.read_bytes()).tokens
    except ValidationError as error:
        raise StorageError(
            "The file of tokens is damaged.", "Restore .tmu/tokens.json, or remove it and make new tokens."
        ) from error
