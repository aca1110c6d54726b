"""`tmu token` and `tmu serve`: a token is shown once; serving warns where TLS is missing."""

from pathlib import Path

import pytest

from tests.cli_tools import bad, good, names, tmu
from tests.service_tools import described_home
from tmu.ledger.place import open_ledger
from tmu.service import app as assembled
from tmu.service import server
from tmu.service.tokens import tokens_of
from tmu.workspace import Workspace


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return described_home(tmp_path)


def create(home: Path, *more: str) -> dict:
    return good(home, "token", "create", "--name", "portal", "--role", "requester", *more)


def test_a_token_is_shown_once_and_works_until_revoked(home: Path) -> None:
    made = create(home, "--role", "auditor", "--days", "3")
    assert made["roles"] == "auditor, requester"
    kept = tokens_of(Workspace.open(home))
    assert kept.find(made["token"]).id == made["id"]
    shown = tmu(home, "token", "list").output + tmu(home, "token", "list", "--json").output
    assert made["id"] in shown
    assert made["token"].removeprefix("tmu_") not in shown
    assert [each["state"] for each in good(home, "token", "list")] == ["in force"]
    assert good(home, "token", "revoke", made["id"])["state"] == "revoked"
    assert kept.find(made["token"]) is None
    assert "no token of that id" in bad(home, "token", "revoke", "00000000", code=3)
    words = tmu(home, "token", "create", "--name", "dpo", "--role", "approver").stdout
    assert "tmu_" in words
    assert "Store the token now" in " ".join(words.split())


def test_listing_makes_nothing(home: Path) -> None:
    before = names(home)
    assert good(home, "token", "list") == []
    assert "no ledger" in bad(home, "token", "revoke", "00000000", code=7)
    assert names(home) == before


def test_wrong_roles_and_names_are_refused(home: Path) -> None:
    assert "no role `root`" in bad(home, "token", "create", "--name", "a", "--role", "root", code=2)
    assert "form" in bad(home, "token", "create", "--name", "ann@home", "--role", "auditor", code=3)
    assert tmu(home, "token", "create", "--name", "a").exit_code == 2
    assert good(home, "token", "list") == []


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_serve_warns_where_others_can_reach_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, host: str, warned: bool
) -> None:
    run: list = []
    monkeypatch.setattr(server, "run", lambda app, listening, *, proxy: run.append((app, listening.fileno(), proxy)))
    result = tmu(home, "serve", "--host", host, "--port", "0", "--rate", "7", "--proxy", "192.0.2.1")
    assert result.exit_code == 0, result.output
    ((app, handle, proxy),) = run
    assert handle > 0
    assert proxy == "192.0.2.1"
    assert (app.state.service.limits.per_second, app.state.service.limits.burst) == (7, 14)
    assert ("TLS" in result.stderr) == warned
    assert f"Serving on http://{host}:" in result.stdout
    told = good(home, "serve", "--host", host, "--port", "0")
    assert told["openapi"] == told["address"] + "/openapi.json"
    assert told["address"].startswith(f"http://{host}:")


def test_serve_refuses_a_port_that_is_taken_and_a_store_without_its_secret(home: Path) -> None:
    with server.listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert "Cannot listen" in bad(home, "serve", "--port", port, code=2)
    store = home / "data" / "store.json"
    store.write_text(store.read_text().replace('"simulated": true', '"simulated": false'))
    assert "secret of this store's keys" in bad(home, "serve", "--port", "0", code=2)
    assert not (home / ".tmu" / "hash.key").exists()  # a new secret would find nobody
    with pytest.raises(Exception, match="secret"):
        assembled.create_app(Workspace.open(home), open_ledger(Workspace.open(home)))
