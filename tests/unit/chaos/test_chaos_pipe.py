"""A flow process outlives the worker that reads what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
import logging, pathlib, sys
{prepare}
from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
Console(stderr=True).print("one line")
logging.getLogger("x").addHandler(PrefectConsoleHandler(stream=sys.stderr))
logging.getLogger("x").error("and one of Prefect's")
print("and a plain one", flush=True)
pathlib.Path(sys.argv[1]).write_text("done")
"""


def run(marker: Path, prepare: str) -> int:
    """The exit code of a process whose output nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-c", SAYS.format(prepare=prepare), str(marker)]
        return subprocess.run(command, stdout=writer, stderr=writer, check=False, timeout=120).returncode
    finally:
        os.close(writer)


@pytest.mark.slow
@pytest.mark.parametrize(("prepare", "survives"), [("import flows.tell", True), ("", False)])
def test_a_run_goes_on_when_nobody_reads_its_output(tmp_path: Path, prepare: str, survives: bool) -> None:
    code = run(tmp_path / "marker", prepare)
    assert ((tmp_path / "marker").exists(), code == 0) == (survives, survives)
