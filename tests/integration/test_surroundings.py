"""A deletion of the command line needs nothing around it: no server, no proxy, no standard input, no fast disk.

Each is a whole `tmu delete` in a process of its own, in surroundings that ended in "an internal error of tmu" when
Prefect's temporary server was started for it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.digits import with_digits
from tests.integration.conftest import LAYOUT, QUICK
from tmu.config import Params

pytestmark = pytest.mark.slow
DEAD = "http://127.0.0.1:9"
PROXIES = {name: DEAD for each in ("http_proxy", "https_proxy", "all_proxy") for name in (each, each.upper())}
ASKED = ("delete", "--subject", "contributor-007", "--method", "retrain", "--no-audit", "--json")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("surroundings") / "w"
    with_digits(root, **LAYOUT)
    quick = QUICK | {"train": {"epochs": 1}, "model": {"options": {"width": 8}}}
    (root / "params.yaml").write_text(yaml.safe_dump(Params.model_validate(quick).model_dump(mode="json")))
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "w", symlinks=True))


def tmu(home: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, in an environment without a Prefect server."""
    variables, code = more.pop("variables", {}), more.pop("code", "from tmu.cli import main; main()")
    clean = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    clean = {name: value for name, value in clean.items() if not name.startswith(("PREFECT_", "TMU_"))}
    command = [sys.executable, "-c", code, "--home", str(home), *arguments]
    return subprocess.run(
        command, env=clean | variables, capture_output=True, text=True, timeout=300, check=False, **more
    )


def deleted(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert "internal error" not in done.stderr + done.stdout
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return json.loads(done.stdout)


def test_neither_proxies_nor_standard_input_are_needed(home: Path) -> None:
    """Both at once; a drill tries each alone."""
    assert deleted(tmu(home, *ASKED, "--yes", variables=PROXIES, preexec_fn=lambda: os.close(0)))["request"]


@pytest.mark.drill
def test_proxies_that_are_dead_are_not_asked(home: Path) -> None:
    assert deleted(tmu(home, *ASKED, "--yes", variables=PROXIES))["request"]


@pytest.mark.drill
def test_a_temporary_folder_that_cannot_be_written_to_is_done_without(home: Path) -> None:
    assert deleted(tmu(home, *ASKED, "--yes", variables={"TMPDIR": "/proc"}))["request"]


@pytest.mark.drill
def test_standard_input_may_be_closed(home: Path) -> None:
    assert deleted(tmu(home, *ASKED, "--yes", preexec_fn=lambda: os.close(0)))["request"]


def test_a_closed_standard_input_cannot_be_asked_and_is_told_so(home: Path) -> None:
    refused = tmu(home, *ASKED[:-1], preexec_fn=lambda: os.close(0))
    assert (refused.returncode, "internal error" in refused.stderr) == (2, False)
    assert "Add --yes" in refused.stderr


SLOW = """
import os, time
def slowly(real):
    def call(*arguments, **named):
        time.sleep(0.02)
        return real(*arguments, **named)
    return call
for name in ("fsync", "fdatasync", "replace", "rename"):
    setattr(os, name, slowly(getattr(os, name)))
"""


@pytest.mark.drill
def test_a_slow_disk_takes_longer_and_no_more(home: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SLOW)
    assert deleted(tmu(home, *ASKED, "--yes", variables={"PYTHONPATH": str(tmp_path / "site")}))["request"]


WATCHED = """
import json, sys
import psutil
from tmu.cli import main
from tmu.steps import train_model

seen = []
real = train_model.train_original
def look(*arguments, **named):
    me = psutil.Process()
    seen.append([each.name() for each in me.children(recursive=True)])
    seen.append([str(each.laddr) for each in me.net_connections()])
    return real(*arguments, **named)
train_model.train_original = look
try:
    main()
finally:
    print(json.dumps(seen), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def watched(template: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A deletion that says on its last line which children and connections it had while it trained."""
    home = shutil.copytree(template, tmp_path_factory.mktemp("watched") / "w", symlinks=True)
    return tmu(Path(home), *ASKED, "--yes", code=WATCHED)


def test_no_server_is_started_and_no_port_opened(watched: subprocess.CompletedProcess[str]) -> None:
    assert deleted(watched)["request"]
    assert json.loads(watched.stderr.splitlines()[-1]) == [[], []]


def test_without_a_terminal_each_stage_is_a_line(watched: subprocess.CompletedProcess[str]) -> None:
    lines = watched.stderr.splitlines()
    for begins in ("• Likely method: `retrain`", "• Training the original", "• train original: done in ", "• Erasing"):
        assert any(line.startswith(begins) for line in lines), watched.stderr


def test_a_server_that_is_configured_and_away_is_named(home: Path) -> None:
    (home / "tmu.toml").write_text(f'prefect_api_url = "{DEAD}/api"\n')
    at_once = "import flows.runtime as r; r.PATIENCE = 0.0; from tmu.cli import main; main()"
    done = tmu(home, *ASKED, "--yes", code=at_once)
    assert done.returncode == 7
    assert json.loads(done.stdout)["error"]["what"].startswith(f"The Prefect server at {DEAD}/api does not answer")
