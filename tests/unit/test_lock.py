"""The lock: it holds what `constraints.txt` says, each with a hash, and torch is pinned in one place."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
LOCK = (ROOT / "requirements.lock").read_text()
LOCKED = re.findall(r"^([\w.-]+)==([^\s;\\]+)[^\n]*\n((?:    --hash=\S+[^\n]*\n)*)", LOCK + "\n", re.MULTILINE)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_agrees_with_the_constraints():
    """After a change of either: `make lock`."""
    pins = {_plain(name): version for name, version in PINS.items()}
    assert len(LOCKED) > 200
    assert {name: version for name, version, _ in LOCKED if pins.get(_plain(name), version) != version} == {}


def test_each_locked_package_has_hashes():
    assert [name for name, _, hashes in LOCKED if "sha256:" not in hashes] == []


def test_torch_is_left_to_its_pin():
    assert not {name for name, _, _ in LOCKED} & {"torch", "triton"}
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert [each for each in wanted if each.startswith("torch==")] == [f"torch=={PINS['torch']}"]
    assert not re.search(r"torch==\d", (ROOT / "Makefile").read_text())
