"""A run that looks at its ledger at every stage connects to a server once; a file is opened each time."""

from pathlib import Path
from typing import Any

import pytest

from tmu.ledger import place
from tmu.settings import Settings
from tmu.workspace import Workspace

SERVER = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"


class Counted:
    """Stands for a ledger: which ones were opened, and which are closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Counted]:
    made: list[Counted] = []
    monkeypatch.setattr(place, "open_ledger", lambda _: made.append(Counted()) or made[-1])
    return made


def look(workspace: Workspace) -> Any:
    with place.opened(workspace) as ledger:
        return ledger


def test_a_server_is_connected_to_once_within_a_run_and_each_time_outside(
    tmp_path: Path, opened: list[Counted]
) -> None:
    workspace = Workspace(tmp_path, Settings(ledger=SERVER))
    look(workspace), look(workspace)
    assert [each.closed for each in opened] == [1, 1]
    with place.kept_open():
        first = look(workspace)
        again = look(Workspace(tmp_path, Settings(ledger=SERVER)))
        assert first is again and first.closed == 0
        with place.opened(workspace), place.opened(workspace):
            pass
        assert len(opened) == 3
        look(Workspace(tmp_path, Settings(ledger=SERVER + "2")))
        assert len(opened) == 4
    assert [each.closed for each in opened] == [1, 1, 1, 1]
    assert look(workspace) is not first


def test_a_file_is_opened_and_closed_each_time(tmp_path: Path, opened: list[Counted]) -> None:
    workspace = Workspace(tmp_path, Settings())
    with place.kept_open():
        look(workspace), look(workspace)
    assert [each.closed for each in opened] == [1, 1]


def test_what_goes_wrong_inside_leaves_none_open(tmp_path: Path, opened: list[Counted]) -> None:
    with pytest.raises(ZeroDivisionError), place.kept_open():
        look(Workspace(tmp_path, Settings(ledger=SERVER)))
        raise ZeroDivisionError
    assert [each.closed for each in opened] == [1]
