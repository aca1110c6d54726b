"""The process in waiting: it serves a run only where a new process would do the same, and nothing else reaches it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from infra.stack import spare as spares
from infra.stack import spare_main
from infra.stack.place import ROOT
from infra.stack.spare import Spare, engine_command, served_by, stamp

COMMAND = [sys.executable, "-m", "prefect.engine"]
# stands for `spare_main`: says what it was given, as the engine would be found in its environment
ECHO = "import sys, json; print(json.loads(sys.stdin.read())['PREFECT__FLOW_RUN_ID'])"
BARE = "from infra.stack import spare_main; spare_main.prepare = lambda: None; spare_main.main()"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that starts at once, in the place of the one with the imports."""
    given = anyio.open_process

    async def opened(command: list[str], **how: Any) -> Any:
        assert command == [sys.executable, "-m", spares.MODULE]
        return await given([sys.executable, "-c", ECHO], **how)

    monkeypatch.setattr(spares.anyio, "open_process", opened)


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def _run(what: Callable[[Spare], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        spare = Spare()
        try:
            return await what(spare)
        finally:
            await spare.close()

    return asyncio.run(main())


async def _said(process: Any) -> str:
    said = b"".join([piece async for piece in process.stdout])
    await process.wait()
    await process.aclose()
    return said.decode().strip()


def test_it_gets_the_run_that_prefect_would_have_started() -> None:
    async def what(spare: Spare) -> str:
        await spare.ready(_environment())
        run = _environment(PREFECT__FLOW_RUN_ID="a-run", PREFECT__FLOW_ENTRYPOINT="flows/verify.py:verify_flow")
        return await _said(await spare.taken(COMMAND, run, ROOT))

    assert _run(what) == "a-run"


@pytest.mark.parametrize(
    ("command", "more", "folder"),
    [
        (["touch", "/tmp/owned"], {}, ROOT),
        (COMMAND, {"PYTHONPATH": "/tmp/evil"}, ROOT),
        (COMMAND, {"PREFECT_API_URL": "http://elsewhere"}, ROOT),
        (COMMAND, {}, Path("/tmp")),
    ],
)
def test_anything_but_our_command_environment_and_folder_starts_a_process_of_its_own(
    command: list[str], more: dict[str, str], folder: Path
) -> None:
    async def what(spare: Spare) -> Any:
        await spare.ready(_environment())
        return await spare.taken(command, _environment(PREFECT__FLOW_RUN_ID="x", **more), folder)

    assert _run(what) is None


def test_after_a_change_of_the_sources_it_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would run the old sources, and the manifest would name the new ones."""

    async def what(spare: Spare) -> Any:
        await spare.ready(_environment())
        monkeypatch.setattr(spares, "stamp", lambda: (1, 2, 3))
        return await spare.taken(COMMAND, _environment(PREFECT__FLOW_RUN_ID="x"), ROOT)

    assert _run(what) is None


def test_the_stamp_tells_of_a_changed_source_and_of_an_installed_package(tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    for folder in (tmp_path / "tmu", packages):
        folder.mkdir()
    source = tmp_path / "tmu" / "a.py"
    source.write_text("a = 1\n")
    first = stamp(tmp_path, packages)
    assert stamp(tmp_path, packages) == first
    source.write_text("a = 22\n")
    second = stamp(tmp_path, packages)
    (packages / "new.dist-info").mkdir()
    assert len({first, second, stamp(tmp_path, packages)}) == 3


def test_one_run_one_process_and_the_next_is_made_ready(capfd: pytest.CaptureFixture[str]) -> None:
    """Through what the worker puts in the place of Prefect's `run_process`."""

    async def what(spare: Spare) -> tuple[int, ...]:
        await spare.ready(_environment())
        seen = []
        for run in ("first", "second"):
            served = served_by(spare, _environment)
            environment = _environment(PREFECT__FLOW_RUN_ID=run)
            done = await served(COMMAND, stream_output=True, env=environment, cwd=ROOT)
            seen.append(done.pid)
        return tuple(seen)

    first, second = _run(what)
    assert first != second
    assert capfd.readouterr().out.split() == ["first", "second"]


def test_without_a_worker_it_ends_by_itself() -> None:
    """kill -9 of the worker closes the pipe."""
    done = subprocess.run([sys.executable, "-c", BARE], stdin=subprocess.DEVNULL, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


def test_it_carries_out_the_engine_in_the_environment_that_it_was_given() -> None:
    """Prefect's engine refuses a run without a valid id: it was reached, with that variable and no other of ours."""
    environment = f'{{"PREFECT__FLOW_RUN_ID": "no id", "PATH": "{os.environ["PATH"]}", "HOME": "/tmp"}}'
    done = subprocess.run(
        [sys.executable, "-c", BARE], input=environment, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    assert "Invalid flow run id" in done.stdout + done.stderr


@pytest.mark.parametrize(("change", "said"), [("none", "old"), ("changed", "new"), ("lost", "No module named 'deep")])
def test_where_a_file_that_it_imported_is_another_by_then_it_becomes_a_new_process(
    tmp_path: Path, change: str, said: str
) -> None:
    (tmp_path / "deep").mkdir()
    module = tmp_path / "deep" / "er.py"
    module.write_text("VALUE = 'old'")
    (tmp_path / "engine.py").write_text("import deep.er; print(deep.er.VALUE)")
    acts = {"none": "None", "changed": f"open({str(module)!r}, 'w').write('VALUE = \"new\"  ')"}
    acts["lost"] = f"__import__('os').unlink({str(module)!r})"
    code = (
        "import json, sys, io; from infra.stack import spare_main; sys.dont_write_bytecode = True\n"
        f"sys.path.insert(0, {str(tmp_path)!r}); spare_main.ENGINE = 'engine'\n"
        "spare_main.prepare = lambda: __import__('deep.er')\n"
        "given = sys.stdin.buffer.read()\n"
        f"class Run:\n    def read(self):\n        {acts[change]}\n        return given\n"
        "sys.stdin = type('', (), {'buffer': Run()}); spare_main.main()"
    )
    environment = json.dumps({"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]})
    done = subprocess.run(
        [sys.executable, "-c", code], input=environment, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert said in done.stdout + done.stderr


def test_what_it_imports_beforehand_exists() -> None:
    """A name that cannot be imported is passed over in silence; here it is not."""
    import importlib.util

    missing = [name for name in spare_main.WARM if importlib.util.find_spec(name.partition(".")[0]) is None]
    assert missing == []
    assert engine_command().endswith("-m prefect.engine")


def test_a_run_in_it_does_not_look_for_garbage_among_its_imports() -> None:
    code = (
        "import gc; from infra.stack import spare_main; from tmu.stores import mlflow_link; spare_main.WARM = ();"
        "mlflow_link.quiet = lambda: None; spare_main.prepare(); print(gc.get_freeze_count() > 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
