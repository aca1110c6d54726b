"""References to evidence: what proves a stage, by address and digest. The evidence itself lies elsewhere."""

import re
import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from tmu.errors import RequestError
from tmu.ledger.actor import Actor
from tmu.ledger.schema import evidence
from tmu.ledger.store import Ledger
from tmu.ledger.transition import find

_DIGEST = re.compile(r"[0-9a-f]{64}")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")


def attach_all(ledger: Ledger, asked: Sequence[str], kind: str, uri: str, digest: str, actor: Actor) -> None:
    """Attach one reference to requests in any state, in one transaction. The same one again changes nothing.

    kind: `audit`, `model`, ... digest: SHA-256 (hex). The log takes kind and digest, not the address.
    """
    if not _KIND.fullmatch(kind) or not _DIGEST.fullmatch(digest) or not (uri.isprintable() and 0 < len(uri) <= 500):
        raise RequestError("That is no reference to evidence.", "Give a kind, an address and a SHA-256 in hex.")
    with ledger.write(actor) as tx:
        for request in asked:
            row = find(tx.connection, request)
            same = sa.select(evidence.c.id).where(
                evidence.c.request_id == row.id,
                evidence.c.kind == kind,
                evidence.c.uri == uri,
                evidence.c.digest == digest,
            )
            if tx.execute(same).first():
                continue
            new = {"id": secrets.token_hex(16), "request_id": row.id, "kind": kind, "uri": uri, "digest": digest}
            tx.execute(sa.insert(evidence), [new | {"attached_at": tx.at}])
            tx.log("evidence", row.id, None, kind=kind, digest=digest)
