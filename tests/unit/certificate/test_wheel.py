"""The verifier as a wheel of its own: it runs with its two dependencies alone, without tmu and without torch."""

import json
import subprocess
import sys
import venv
from importlib.metadata import distribution, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from tests.certificate_tools import certificate, written
from tmu.workspace import Workspace

ROOT = Path(__file__).parents[3]
_RUN = "import sys; from tmu_verify.main import main; code = main(sys.argv[1:]); " + (
    "loaded = {name.partition('.')[0] for name in sys.modules};"
    " print('LOADED', *sorted(loaded & {'torch', 'tmu', 'numpy', 'pydantic'}));"
    " sys.exit(code)"
)


def needed(name: str) -> set[str]:
    """The distributions that one needs, itself included, without what is for other platforms."""
    found, waiting = set(), [Requirement(name)]
    while waiting:
        one = waiting.pop()
        if one.name.lower() in found:
            continue
        found.add(one.name.lower())
        extras = one.extras or {""}
        for each in map(Requirement, requires(one.name) or []):
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(each)
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an empty environment with the built wheel, and links to what it says that it needs."""
    folder = tmp_path_factory.mktemp("bare")
    source = folder / "source"
    subprocess.run(["cp", "-r", ROOT / "verifier", source], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    with ZipFile(wheel) as unpacked:
        unpacked.extractall(site)
    (metadata,) = site.glob("tmu_verify-*.dist-info/METADATA")
    lines = [line.removeprefix("Requires-Dist: ") for line in metadata.read_text().splitlines()]
    wanted = [line for line in lines if "==" in line and "extra ==" not in line and line[0].isalpha()]
    names = set().union(*(needed(name) for name in wanted))
    assert names == {"rfc8785", "securesystemslib", "cryptography", "cffi", "pycparser"}
    for name in names:
        found = distribution(name)
        for part in {file.parts[0] for file in found.files if ".." not in file.parts}:
            if not (site / part).exists():
                (site / part).symlink_to(found.locate_file(part))
    return folder / "venv" / "bin" / "python"


def run(bare: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [bare, "-c", _RUN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=bare.parent, env={"PATH": "/usr/bin:/bin"})


def test_the_wheel_verifies_alone(bare: Path, tmp_path: Path) -> None:
    path = written(Workspace.create(tmp_path / "w"), certificate(), tmp_path / "c")
    done = run(bare, path, "--request", "r1", "--json")
    assert done.returncode == 0, done.stderr
    said, _, loaded = done.stdout.rpartition("LOADED")
    assert json.loads(said)["verified"] is True
    assert loaded.split() == []
    size = sum(file.stat().st_size for file in (ROOT / "verifier" / "tmu_verify").glob("*.py"))
    assert size < 64_000
    refused = run(bare, path, "--request", "r2")
    assert (refused.returncode, "REFUSED wrong_request" in refused.stdout) == (13, True)
    path.write_bytes(path.read_bytes().replace(b"A", b"B", 1))
    assert run(bare, path).returncode in (10, 11)


def test_the_wheel_has_its_command_and_says_its_exit_codes(bare: Path) -> None:
    (entry,) = bare.parents[1].glob("lib/python*/site-packages/tmu_verify-*.dist-info/entry_points.txt")
    assert "tmu-verify = tmu_verify.main:main" in entry.read_text()
    shown = run(bare, "--help").stdout
    assert "model_swapped" in shown and "18" in shown


def test_the_bare_environment_has_neither_tmu_nor_torch(bare: Path) -> None:
    for name in ("tmu", "torch", "pydantic"):
        done = subprocess.run([bare, "-c", f"import {name}"], capture_output=True, text=True, cwd=bare.parent)
        assert "ModuleNotFoundError" in done.stderr
