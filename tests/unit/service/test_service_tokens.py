"""Tokens: kept as hashes, found in constant time, refused from the moment they are revoked or expire."""

import hmac
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from tests.ledger_tools import bodies, events
from tests.service_tools import Api
from tmu.errors import RequestError, StorageError
from tmu.ledger.actor import OPERATOR
from tmu.ledger.errors import UnknownError
from tmu.ledger.schema import audit_log
from tmu.service import tokens
from tmu.service.roles import Role


def test_only_a_hash_is_kept_in_a_file_of_the_owner_alone(api: Api, home: Path) -> None:
    text = api.token("portal", Role.REQUESTER, Role.AUDITOR, Role.REQUESTER)
    assert len(text) == len("tmu_") + 43  # 32 bytes in base64
    file = home / ".tmu" / "tokens.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(file.read_bytes())["tokens"][-1]
    assert kept["sha256"] == tokens.digest_of_token(text)
    assert (kept["name"], kept["roles"]) == ("portal", ["auditor", "requester"])
    stored = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert text.removeprefix("tmu_").encode() not in stored
    assert tokens.digest_of_token(text) not in "".join(bodies(api.ledger))
    assert len({api.token("portal", Role.REQUESTER) for _ in range(3)}) == 3


def test_making_and_revoking_are_in_the_audit_log(api: Api) -> None:
    api.token("portal", Role.REQUESTER)
    token = api.kept.all()[-1]
    tokens.revoke(api.ledger, api.kept, token.id, OPERATOR)
    assert events(api.ledger)[-2:] == ["token_created", "token_revoked"]
    facts = json.loads(bodies(api.ledger)[-2])["facts"]
    assert facts == {"token": token.id, "name": "portal", "roles": ["requester"], "days": 90}


def test_a_revoked_token_is_refused_at_once_and_others_go_on(api: Api) -> None:
    text = api.token("portal", Role.REQUESTER)
    api.good(text, "GET", "/requests")
    id_ = api.kept.all()[-1].id
    first = tokens.revoke(api.ledger, tokens.tokens_of(api.workspace), id_, OPERATOR)  # as another process does
    api.bad(text, "GET", "/requests", status=401)
    api.good(Role.REQUESTER, "GET", "/requests")
    assert tokens.revoke(api.ledger, api.kept, id_, OPERATOR).revoked == first.revoked
    with pytest.raises(UnknownError):
        tokens.revoke(api.ledger, api.kept, "00000000", OPERATOR)


def test_an_expired_token_is_refused(api: Api) -> None:
    text = api.token("portal", Role.REQUESTER, days=2)
    now = datetime.now(UTC)
    for later, status in ((timedelta(days=1, hours=23), 200), (timedelta(days=2, minutes=1), 401)):
        api.kept.now = lambda later=later: now + later
        assert api.call(text, "GET", "/requests").status_code == status


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {} x", "Bearer x{}", "Bearer {}x", "Bearer " + "é" * 9],
)
def test_only_a_whole_bearer_token_is_one(api: Api, header: str) -> None:
    text = header.format(api.tokens[Role.REQUESTER])
    answer = api.call(None, "GET", "/requests", headers={"Authorization": text.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    lower = {"authorization": f"bearer  {api.tokens[Role.REQUESTER]}"}
    assert api.call(None, "GET", "/requests", headers=lower).status_code == 200


def test_every_digest_is_compared_in_constant_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    compared, real = [], hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, two: compared.append(two) or real(one, two))
    for text in (api.tokens[Role.REQUESTER], api.tokens[Role.AUDITOR], "tmu_none"):
        compared.clear()
        api.kept.find(text)
        assert compared == [tokens.digest_of_token(text)] * len(Role)


def test_what_cannot_be_a_token_is_refused(api: Api) -> None:
    before = api.kept.all()
    for name, roles, days in (
        ("ann@home", [Role.REQUESTER], 9),
        ("portal", [], 9),
        ("portal", [Role.REQUESTER], 0),
        ("portal", [Role.REQUESTER], 367),
    ):
        with pytest.raises(RequestError):
            tokens.create(api.ledger, api.kept, name, roles, days, OPERATOR)
    assert api.kept.all() == before


def test_a_token_that_could_not_be_kept_is_not_in_the_log_either(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.", "Free some space.")

    monkeypatch.setattr(tokens, "write_atomic", full)
    with api.ledger.read() as connection:
        before = connection.scalar(sa.select(sa.func.count()).select_from(audit_log))
    with pytest.raises(StorageError):
        api.token("portal", Role.REQUESTER)
    assert len(events(api.ledger)) == before


def test_a_damaged_file_lets_nobody_in_and_says_so(api: Api, home: Path) -> None:
    file = home / ".tmu" / "tokens.json"
    good = file.read_bytes()
    for bad in (b"", b"[]", b"not json", good.replace(b'"sha256":"', b'"sha256":"x', 1), good[:-9]):
        file.write_bytes(bad)
        assert "does not answer" in api.bad(Role.REQUESTER, "GET", "/requests", status=503)
    with pytest.raises(StorageError, match="damaged"):
        api.kept.all()
    file.unlink()
    api.bad(Role.REQUESTER, "GET", "/requests", status=401)  # no tokens: nobody
    file.write_bytes(good)
    os.chmod(file, 0o620)
    api.bad(Role.REQUESTER, "GET", "/requests", status=503)  # others could have added their own
    with pytest.raises(StorageError, match="written by others"):
        api.kept.all()
    os.chmod(file, 0o600)
    api.good(Role.REQUESTER, "GET", "/requests")


def test_a_role_that_is_not_known_is_not_read(api: Api) -> None:
    with pytest.raises(ValidationError):
        tokens.Token.model_validate(api.kept.all()[0].model_dump() | {"roles": ("root",)})
