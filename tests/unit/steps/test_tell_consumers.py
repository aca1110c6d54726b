"""Consumers are told once of what was withdrawn, with the ledger and without; who answered what is kept."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.notify_tools import SECRET, receiving
from tests.purge_tools import erased, scope
from tmu.ledger.place import open_ledger
from tmu.notify.signature import HEADER, verify_signature
from tmu.purge.scope import Scope
from tmu.settings import Settings
from tmu.steps.tell_consumers import consumers_told, tell_consumers
from tmu.stores.mlflow_versions import Version
from tmu.workspace import Workspace

LEARNED, KEPT, OTHER = "a" * 64, "b" * 64, "c" * 64


def version(number: int, weights: str, serving: str | None) -> Version:
    tags = {"serving": serving} if serving else {}
    return Version("tmu-d", number, "r", "m", "original", weights, tags)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = Workspace.create(tmp_path / "w")
    found = [version(1, LEARNED, "purged"), version(2, KEPT, "blocked"), version(3, OTHER, "blocked")]
    found += [version(4, LEARNED, None)]
    workspace.__dict__["registry"] = SimpleNamespace(embedded=False, versions=lambda dataset: found)
    monkeypatch.setattr("tmu.steps.tell_consumers.read_info", lambda data: SimpleNamespace(dataset="d"))
    return workspace


def about(workspace: Workspace) -> Scope:
    keys = {"records": ("key of a record",), "subjects": ("key of a person",)}
    return scope(erased(workspace), learned=(LEARNED, KEPT), requests=("case-1",), **keys)


def heard_by(workspace: Workspace, *urls: str) -> None:
    workspace.settings = Settings(webhooks=urls, webhook_secret=SECRET)


@pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "no-ledger"])
def test_each_consumer_is_told_once_and_its_answer_is_kept(place: Workspace, ledger: bool) -> None:
    if ledger:
        open_ledger(place).close()
    request = about(place)
    with receiving() as good, receiving() as bad:
        bad.answers = [500, 503]
        heard_by(place, f"{good.url}", f"{bad.url}")
        assert [each.version for each in tell_consumers(place, request, "https://t/c/1")] == [1, 2]
        told = {each.answer: each for each in consumers_told(place, request.request)}
        assert sorted(told) == ["delivered", "waiting"] and told["waiting"].error == "http_500"
        assert told["delivered"].at and told["delivered"].way == "webhook"
        tell_consumers(place, request, "https://t/c/1")
        assert [event for _, event in good.told if event != "log_head"] == ["models_withdrawn"]
    (got,) = [each for each in good.got if each.message["event"] == "models_withdrawn"]
    assert verify_signature(SECRET.encode(), got.headers[HEADER], got.body, float(got.headers[HEADER][2:12]))
    assert got.message["facts"] == {
        "dataset": "d",
        "deletion": request.request,
        "requests": ["case-1"],
        "certificate": "https://t/c/1",
        "versions": [
            {"version": 1, "weights": LEARNED, "action": "purged"},
            {"version": 2, "weights": KEPT, "action": "blocked"},
        ],
    }
    assert not any(key in json.dumps(got.message) for key in request.every_key)
    assert consumers_told(place, "f" * 16) == []


def test_by_the_ledgers_own_id(place: Workspace) -> None:
    open_ledger(place).close()
    with receiving() as good:
        heard_by(place, good.url)
        tell_consumers(place, about(place))
        (told,) = consumers_told(place, "case-1")
    assert told.answer == "delivered" and [each.action for each in told.versions] == ["purged", "blocked"]


def test_without_a_ledger_who_did_not_answer_is_told_again(place: Workspace) -> None:
    request = about(place)
    with receiving() as late:
        late.answers = [503]
        heard_by(place, late.url)
        tell_consumers(place, request)
        tell_consumers(place, request)
        (told,) = consumers_told(place, request.request)
        tell_consumers(place, request)
    assert told.answer == "delivered" and len(late.got) == 2
    assert len({each.message["id"] for each in late.got}) == 1


def test_what_the_plan_spared_and_serves_no_more_is_told_and_what_serves_is_not(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rule with the purge of MLflow: who serves when it acts, not who served when it was planned."""
    spared = about(place).model_copy(update={"spared": (KEPT,)})
    assert [each.version for each in tell_consumers(place, spared)] == [1, 2]
    monkeypatch.setattr("tmu.lineage.served.served", lambda workspace: frozenset({KEPT}))
    assert [each.version for each in tell_consumers(place, about(place))] == [1]


def test_where_nobody_is_named_nobody_was_told(place: Workspace) -> None:
    request = about(place)
    assert len(tell_consumers(place, request)) == 2 and consumers_told(place, request.request) == []
    open_ledger(place).close()
    assert len(tell_consumers(place, request)) == 2 and consumers_told(place, request.request) == []
