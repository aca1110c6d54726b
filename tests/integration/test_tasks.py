"""What Prefect makes of a task's arguments: the workspace passes as it is, and is part of no key and no result."""

import json
from pathlib import Path

import pytest

from tests.unit.tasks.test_results import planted
from tmu.config import Params
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.cases import UnlearnCase
from tmu.workspace import Workspace

SEEN: list[object] = []
CASE = UnlearnCase(
    data=DataRef(uri="data", digest="1.dir"),
    forget=ForgetRef(uri="forget/1", digest="2", data_digest="1.dir"),
    original=ModelRef(uri="model/1", digest="3", weights="4", role="original"),
    params=Params(),
)


def test_the_workspace_passes_as_it_is_and_is_neither_hashed_nor_stored(prefect_server: dict, tmp_path: Path) -> None:
    from prefect import flow

    from tasks.common import step_task

    @step_task("look", lambda params: ("tmu.refs",))
    def look(workspace: Workspace, case: UnlearnCase) -> DataRef:
        SEEN.append((workspace, case))
        return case.data

    @flow
    def asked(home: str) -> None:
        workspace = Workspace.open(home)
        workspace.artifacts  # noqa: B018 - opened: it goes on being used
        for number in range(2):
            moved = CASE.original.model_copy(update={"uri": f"model/{number}"})  # the same content elsewhere
            assert look(workspace, CASE.model_copy(update={"original": moved})) == CASE.data
        assert look(workspace, CASE.model_copy(update={"params": Params(seed=1)})) == CASE.data
        assert [each is workspace for each, _ in SEEN] == [True, True]

    (tmp_path / "params.yaml").write_text("{}")
    asked(str(tmp_path))
    assert [case.params.seed for _, case in SEEN] == [0, 1]  # the second call was answered from the cache
    results = [path.read_text() for path in Path(prefect_server["PREFECT_LOCAL_STORAGE_PATH"]).iterdir()]
    assert any("1.dir" in text for text in results)
    assert not any(str(tmp_path) in text for text in results)
    assert json.loads(results[0])["metadata"]["serializer"]["type"] == "json"


@pytest.mark.parametrize("kind", list(planted(Path())))
def test_a_planted_result_is_not_executed_and_the_task_runs_again(
    prefect_server: dict, tmp_path: Path, kind: str
) -> None:
    from prefect import flow

    from tasks.common import step_task

    ran = []

    @step_task(f"planted-{kind}", lambda params: ("tmu.refs",))
    def look(workspace: Workspace, case: UnlearnCase) -> DataRef:
        ran.append(case)
        return case.data

    @flow
    def asked(home: str) -> DataRef:
        return look(Workspace.open(home), CASE)

    (tmp_path / "params.yaml").write_text("{}")
    results = Path(prefect_server["PREFECT_LOCAL_STORAGE_PATH"])
    before = set(results.iterdir()) if results.exists() else set()
    assert asked(str(tmp_path)) == asked(str(tmp_path)) == CASE.data
    (stored,) = set(results.iterdir()) - before
    assert len(ran) == 1
    found, mark = json.loads(stored.read_text()), tmp_path / "mark"
    mine = planted(mark)[kind]
    found["metadata"] |= {"serializer": None} | mine["metadata"]
    if found["metadata"]["serializer"] is None:
        del found["metadata"]["serializer"]
    stored.write_text(json.dumps(found | {"result": mine["result"]}))
    asked(str(tmp_path))
    assert not mark.exists()
    if kind != "decoder":  # which is read as what it is, a dictionary
        assert len(ran) == 2
