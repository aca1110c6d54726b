"""A written rule keeps models of its role until its date, and not a day longer."""

from pathlib import Path

import pytest

from tests.purge_tools import erased, scope
from tmu.config import PurgeConfig, Retention
from tmu.deletion.deletion import Stage
from tmu.purge.retention import stays, until_of
from tmu.workspace import Workspace

RULE = Retention(role="gold", days=30, why="Retrained beside, for the audit.")


def test_a_rule_keeps_its_role_until_its_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace.create(tmp_path / "w")
    monkeypatch.setattr("tmu.deletion.deletion.now", lambda: "2026-01-31T10:00:00+00:00")
    deletion = erased(workspace, PurgeConfig(keep=(RULE,)))
    assert deletion.times[Stage.ERASED].startswith("2026-01-31")
    about = scope(deletion)
    monkeypatch.setattr("tmu.purge.retention.now", lambda: "2026-03-01T23:59:59+00:00")
    assert stays(workspace, about, "gold") == (RULE.why, "2026-03-02")
    assert stays(workspace, about, "original") is None
    monkeypatch.setattr("tmu.purge.retention.now", lambda: "2026-03-02T00:00:00+00:00")
    assert stays(workspace, about, "gold") is None
    assert until_of(deletion, RULE) == "2026-03-02"


def test_without_rules_no_model_stays(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    about = scope(erased(workspace))
    assert [stays(workspace, about, role) for role in ("original", "gold", "unlearned", "twin")] == [None] * 4
