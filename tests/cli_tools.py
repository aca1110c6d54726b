"""Calling the command line in a test, and proving that a folder stayed as it was."""

import hashlib
import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tmu.cli import app


def tmu(home: Path, *arguments: str | Path, **more: Any) -> Result:
    """Run `tmu --home HOME ARGUMENTS...` in this process."""
    return CliRunner().invoke(app, ["--home", str(home), *map(str, arguments)], **more)


def good(home: Path, *arguments: str | Path, **more: Any) -> Any:
    """Run with --json; the call must succeed. Returns what it printed, read."""
    result = tmu(home, *arguments, "--json", **more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def bad(home: Path, *arguments: str | Path, code: int, **more: Any) -> str:
    """Run; the call must fail with `code` and say so in one line on stderr and nothing on stdout. Returns the line."""
    result = tmu(home, *arguments, **more)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def listing(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`; lock files hold nothing and are left out."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def names(folder: Path) -> list[str]:
    """Everything below `folder`, be it empty."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
