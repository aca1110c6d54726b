"""What a deletion leaves beside the stores: found in each place before, gone afterwards, the rest untouched."""

import contextlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.integration.conftest import make_workspace
from tmu.data import contents
from tmu.data.decoded import Decoding
from tmu.data.digest import manifest
from tmu.data.store import RecordStore
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import StorageError
from tmu.prefect_api import PrefectApi
from tmu.purge.place import Place
from tmu.purge.places import data_caches, dvc_scratch, prefect_files, prefect_runs, temporary
from tmu.purge.scope import Scope
from tmu.steps.acknowledge import acknowledge
from tmu.steps.erase_data import erase_data
from tmu.steps.loading import data_ref
from tmu.steps.plan import plan_deletion
from tmu.steps.purge_scope import scope_of
from tmu.workspace import Workspace


@pytest.fixture(scope="module")
def erased(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Scope]:
    """A workspace after the erasing of one person, with its caches of before."""
    workspace = make_workspace(tmp_path_factory.mktemp("scratch") / "w")
    contents.note(workspace.data, workspace.contents)  # those of an import belong to its own files
    decoding = Decoding(workspace.decoded, 0)
    store = RecordStore.open(workspace.data, cache=workspace.state("index"), decoding=decoding)
    store.decoded(np.arange(len(store.index())))
    time.sleep(2.1)  # until then the MD5s of new files are not kept
    data_ref(workspace)
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-007")], [])
    deletion = acknowledge(workspace, plan_deletion(workspace, asked), asked)
    kept = {path: path.read_bytes() for path in (*workspace.contents.iterdir(), *workspace.decoded.glob("*.npy"))}
    assert len(kept) > 20
    after = erase_data(workspace, deletion.plan.data, deletion.forget)
    for path, content in kept.items():  # `erase_data` tidies some of them
        path.write_bytes(content)
    return workspace, scope_of(workspace, Journal(workspace).advance(deletion, Stage.ERASED, data=after))


def named(places: list[Place], name: str) -> Place:
    (place,) = (place for place in places if place.name == name)
    return place


def purged(place: Place, scope: Scope) -> list[str]:
    """What it found before it purged; nothing is found afterwards."""
    found = list(place.find(scope))
    for trace in [*found, *found]:  # twice is once
        place.purge(scope, trace)
    assert list(place.find(scope)) == []
    return [trace.address for trace in found]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("index parts", "index"), ("digests of pictures", "contents"), ("decoded pictures", "decoded")],
)
def test_parts_of_old_shards_go_and_those_of_live_ones_stay(erased, name: str, folder: str) -> None:
    workspace, scope = erased
    note = {path.name: path.read_bytes() for path in workspace.state(folder).iterdir()}
    found = purged(named(data_caches.places(workspace), name), scope)
    assert len(found) == len(scope.shards) == 1
    note.pop(found[0])
    assert {path.name: path.read_bytes() for path in workspace.state(folder).iterdir()} == note
    assert len(note) > 10


def test_md5s_of_old_files_go_and_those_of_live_ones_stay(erased) -> None:
    workspace, scope = erased
    memo = workspace.md5s
    live = set(manifest(workspace.data, memo).values())
    memo.save(memo.load() | {"1-2-3-4-5": "0" * 32})
    assert purged(named(data_caches.places(workspace), "MD5s of data files"), scope) == ["md5s.json"]
    kept = set(memo.load().values())
    assert kept <= live and len(kept) > 10


def test_dvcs_site_cache_goes_when_it_names_an_old_file(erased) -> None:
    workspace, scope = erased
    place = named(dvc_scratch.places(workspace), "DVC's site cache")
    assert purged(place, scope) == [".tmu/dvc-site"]
    workspace.versions.commit(workspace.data)  # what DVC makes anew names live files alone
    assert workspace.state("dvc-site").is_dir() and list(place.find(scope)) == []


def test_dvcs_temporary_files_go_but_its_locks(erased) -> None:
    workspace, scope = erased
    (workspace.root / ".dvc" / "tmp" / "exps").mkdir(exist_ok=True)
    place = named(dvc_scratch.places(workspace), "DVC's temporary files")
    assert ".dvc/tmp/exps" in purged(place, scope)
    assert (workspace.root / ".dvc" / "tmp" / "lock").exists()


def test_of_the_run_cache_only_what_names_the_old_revision_goes(erased) -> None:
    workspace, scope = erased
    runs = workspace.versions.run_cache() / "ab" / "abcd"
    runs.mkdir(parents=True)
    (runs / "ours").write_text(f"deps:\n- path: data\n  md5: {scope.before.digest}\n")
    (runs / "other project").write_text("deps:\n- path: data\n  md5: 0123.dir\n")
    assert purged(named(dvc_scratch.places(workspace), "DVC's run cache"), scope) == [".dvc/cache/runs/ab/abcd/ours"]
    assert [path.name for path in runs.iterdir()] == ["other project"]


def test_what_a_killed_look_left_goes_and_what_a_living_one_works_on_stays(erased, tmp_path, monkeypatch) -> None:
    workspace, scope = erased
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code = (
        "import os, signal, sys; from tmu.workspace import Workspace\n"
        "with Workspace.open(sys.argv[1]).scratch() as folder:\n"
        "    (folder / 'image').write_text('a'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", code, str(workspace.root)], env=os.environ, check=False)
    assert died.returncode == -9
    (tmp_path / ".tmu-0123456789ab.building-999999-x").mkdir()  # of another workspace
    with workspace.scratch() as mine:
        (found,) = purged(temporary.places(workspace)[0], scope)
        assert found.startswith(f".{workspace.scratch_name}.building-") and mine.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".tmu-0123456789ab.building-999999-x"]


def test_prefects_files_that_name_a_key_go_and_others_stay(erased, monkeypatch) -> None:
    workspace, scope = erased
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    results = workspace.state("prefect", "results")
    results.mkdir(parents=True, exist_ok=True)
    (results / "ours").write_text(json.dumps({"result": scope.records[0]}))
    (results / "other").write_text("{}")
    (results.parent / "prefect.db").write_bytes(b"\0" + scope.subjects[0].encode() + b"\0")
    (place,) = prefect_files.places(workspace)
    assert purged(place, scope) == [".tmu/prefect/prefect.db", ".tmu/prefect/results/ours"]
    assert [path.name for path in results.iterdir()] == ["other"]


class Server(http.server.BaseHTTPRequestHandler):
    """Prefect's routes of runs. answer: `well`, `503`, or `hangs`."""

    runs: dict[str, dict] = {}  # noqa: RUF012 - one server a test
    answer = "well"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(length))
        self._say(200, list(self.runs.values())[body["offset"] :][: body["limit"]])

    def do_DELETE(self) -> None:
        found = self.runs.pop(self.path.rpartition("/")[2], None)
        self._say(204 if found else 404, None)

    def do_GET(self) -> None:
        found = self.runs.get(self.path.rpartition("/")[2])
        self._say(200 if found else 404, found or {"detail": "not found"})

    def do_PATCH(self) -> None:
        changes = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.runs[self.path.rpartition("/")[2]].update(changes)
        self._say(204, None)

    def _say(self, status: int, value: object) -> None:
        if self.answer == "hangs":
            time.sleep(5)
        self.send_response(503 if self.answer == "503" else status)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more
            self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefectApi]:
    """A server with 250 runs, two of which name the person: one ended, one at work."""
    monkeypatch.setattr(Server, "answer", "well")
    runs = {str(n): {"id": str(n), "parameters": {"lane": "urgent"}, "state_type": "COMPLETED"} for n in range(250)}
    monkeypatch.setattr(Server, "runs", runs)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield PrefectApi(f"http://127.0.0.1:{server.server_port}/api")
        server.shutdown()


@dataclass
class Rows:
    """The old rows of a database. calls: what was asked of them, with the runs that were there."""

    reachable: bool = True
    wait: bool = False
    calls: list[tuple[str, int]] = field(default_factory=list)

    def note(self) -> None:
        self.wait = True
        self.calls.append(("note", len(Server.runs)))

    def rewrite(self) -> None:
        self.wait = False
        self.calls.append(("rewrite", len(Server.runs)))


def test_runs_that_name_the_person_go_and_one_that_waits_stays_until_tomorrow(erased, prefect) -> None:
    _, scope = erased
    Server.runs["3"]["parameters"] = {"subjects": list(scope.subjects)}
    Server.runs["240"] = Server.runs["3"] | {"id": "240", "state_type": "PAUSED"}
    place = prefect_runs.FlowRuns(prefect, rows := Rows())
    ended, waits, old = place.find(scope)
    assert (ended.address, ended.stays, waits.address, waits.stays) == ("3", False, "240", True)
    place.purge(scope, ended)
    place.purge(scope, ended)
    assert [trace.address for trace in place.find(scope)] == ["240", old.address] and len(Server.runs) == 249
    place.purge(scope, old)
    assert [trace.address for trace in place.find(scope)] == ["240"]
    assert rows.calls == [("note", 250), ("note", 249), ("rewrite", 249)]  # noted before anything goes


def test_a_run_at_work_loses_the_keys_alone(erased, prefect) -> None:
    _, scope = erased
    others = {"request": "case-1", "people": ["f" * 32], "deep": {"said": "x"}}
    named = others | {"people": [*scope.subjects, "f" * 32], "deep": {"said": f"of {scope.records[0]}"}}
    Server.runs["3"] |= {"state_type": "RUNNING", "parameters": named}
    place = prefect_runs.FlowRuns(prefect, Rows())
    for trace in list(place.find(scope)):
        assert not trace.stays
        place.purge(scope, trace)
    assert Server.runs["3"]["parameters"] == others | {"deep": {"said": ""}}
    assert list(place.find(scope)) == []
    place.purge(scope, trace.model_copy(update={"address": "went meanwhile"}))


def test_old_rows_of_a_database_that_the_settings_do_not_know_are_said_to_stay(erased, prefect) -> None:
    _, scope = erased
    Server.runs["3"]["parameters"] = {"subjects": list(scope.subjects)}
    place = prefect_runs.FlowRuns(prefect, Rows(reachable=False))
    run, old = place.find(scope)
    assert old.stays and "prefect_database" in old.why
    place.purge(scope, run)
    assert list(place.find(scope)) == [old]


@pytest.mark.parametrize(("answer", "error"), [("503", "answered 503"), ("hangs", "does not answer")])
def test_a_server_that_answers_503_or_hangs_is_a_storage_error(erased, prefect, monkeypatch, answer, error) -> None:
    _, scope = erased
    monkeypatch.setattr(Server, "answer", answer)
    monkeypatch.setattr(prefect_runs, "SECONDS", 0.3)
    with pytest.raises(StorageError, match=error):
        list(prefect_runs.FlowRuns(prefect, Rows()).find(scope))


def test_no_server_is_no_place(erased, monkeypatch) -> None:
    workspace, _ = erased
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert prefect_runs.places(workspace) == []
