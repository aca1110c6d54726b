"""What the doctor says of servers: each fault is found, with a next step, and nothing waits long."""

import json
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from moto import mock_aws

from infra.doctor import check_servers
from infra.doctor.check_servers import Probe, clocks, ledger, login, page, s3
from infra.doctor.checks import checks
from tmu.check import Check
from tmu.ledger.place import open_ledger
from tmu.workspace import Workspace


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    return Workspace.open(tmp_path)


def _again(place: Workspace) -> Workspace:
    return Workspace.open(place.root)


def test_a_workspace_without_servers_is_one_line(place: Workspace) -> None:
    assert list(checks(place)) == [Check("servers", "ok", "none configured")]


def test_servers_that_are_away_fail_each_with_a_next_step(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMU_PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("TMU_MLFLOW_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("TMU_LEDGER", "postgresql+psycopg://nobody:secret@127.0.0.1:9/ledger")
    found = list(checks(_again(place)))
    assert [(each.name, each.state) for each in found] == [
        ("Prefect server", "fail"),
        ("MLflow server", "fail"),
        ("ledger", "fail"),
    ]
    assert all(each.hint for each in found)
    assert "secret" not in json.dumps([each.as_json() for each in found])


# the ledger


def test_no_ledger_is_no_line_and_looking_makes_none(place: Workspace) -> None:
    assert ledger(place) is None
    assert not place.state("ledger.db").exists()


def test_a_ledger_of_this_version_is_well_and_an_older_one_is_not(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.state().mkdir()
    open_ledger(place).close()
    assert ledger(place).check.state == "ok"
    monkeypatch.setattr("tmu.ledger.upgrade.NEWEST", "9999")
    assert ledger(place).check.state == "warn"
    monkeypatch.setattr("tmu.ledger.upgrade.NEWEST", "0001")
    assert ledger(place).check.state == "fail"


def test_a_ledger_on_a_server_tells_the_time(place: Workspace, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMU_LEDGER", database)
    empty = ledger(_again(place))
    assert empty.check.state == "warn"
    open_ledger(_again(place)).close()
    probe = ledger(_again(place))
    assert probe.check.state == "ok"
    assert abs(probe.ahead) < 2


# the S3 store


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("TMU_ARTIFACTS", "s3://tmu-artifacts/a")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="tmu-artifacts")
        yield client


def test_a_bucket_must_be_there_and_keep_versions(place: Workspace, bucket: object) -> None:
    plain = s3(_again(place)).check
    assert (plain.state, "tmu-artifacts" in plain.text) == ("warn", True)
    bucket.put_bucket_versioning(Bucket="tmu-artifacts", VersioningConfiguration={"Status": "Enabled"})
    assert s3(_again(place)).check.state == "ok"
    bucket.delete_bucket(Bucket="tmu-artifacts")
    gone = s3(_again(place)).check
    assert (gone.state, gone.text) == ("fail", "answers NoSuchBucket")


def test_a_store_that_is_away_fails_soon(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("TMU_ARTIFACTS", "s3://tmu-artifacts/a")
    monkeypatch.setenv("TMU_S3_ENDPOINT", "http://127.0.0.1:9")
    assert s3(_again(place)).check.state == "fail"


# pages and clocks


class _Page(BaseHTTPRequestHandler):
    code, date, wanted = 200, 0.0, None

    def do_GET(self) -> None:
        strange = self.wanted and self.headers.get("Authorization") != self.wanted
        self.send_response_only(401 if strange else self.code)
        self.send_header("Date", formatdate(self.date, usegmt=True))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[SimpleNamespace]:
    """A server of one page whose code and clock the test sets."""
    import time

    handler = type("Handler", (_Page,), {"code": 200, "date": time.time()})
    http = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{http.server_port}/", page=handler)
    http.shutdown()
    http.server_close()


def test_a_page_answers_or_says_what_it_answered(server: SimpleNamespace) -> None:
    assert page("it", server.url, "Start it.").check == Check("it", "ok", "answers")
    server.page.code = 503
    assert page("it", server.url, "Start it.").check == Check("it", "fail", "answers 503", "Start it.")


def test_a_server_that_does_not_ask_who_calls_fails(server: SimpleNamespace) -> None:
    for auth in (None, ("tmu", "secret")):
        found = login("it", server.url, auth, "it_login")
        assert (found.state, "without a login" in found.text) == ("fail", True)


def test_a_login_that_is_missing_or_wrong_is_told_without_showing_it(server: SimpleNamespace) -> None:
    server.page.wanted = "Basic dG11OnNlY3JldA=="  # tmu:secret
    assert login("it", server.url, ("tmu", "secret"), "it_login").state == "ok"
    missing, wrong = login("it", server.url, None, "it_login"), login("it", server.url, ("tmu", "hidden"), "it_login")
    assert [(each.state, "`it_login`" in each.hint) for each in (missing, wrong)] == [("fail", True)] * 2
    assert missing.text == "it asks for a login, and none is configured"
    assert wrong.text == "it refuses the configured login"
    assert "hidden" not in wrong.text + wrong.hint


def test_a_login_cannot_be_looked_at_where_nobody_answers() -> None:
    assert login("it", "http://127.0.0.1:9/", None, "it_login").state == "fail"


def test_a_clock_that_is_wrong_is_named(server: SimpleNamespace) -> None:
    right = page("right", server.url, "")
    assert clocks([right]).state == "ok"
    server.page.date += 60
    wrong = page("wrong", server.url, "")
    found = clocks([right, wrong])
    assert (found.state, found.text) == ("warn", f"wrong is {wrong.ahead:+.0f} s off")
    assert wrong.ahead == pytest.approx(60, abs=3)


def test_servers_that_tell_no_time_are_no_line() -> None:
    assert clocks([Probe(Check("it", "ok", "answers"))]) is None
    assert check_servers.seconds_ahead(None) is None
