"""`down --delete-data`: remove what the servers of a stack stored. The workspace's own files stay."""

import shutil
from pathlib import Path

from infra.stack.place import Stack
from tmu.settings import STACK


def doomed(stack: Stack) -> list[Path]:
    """What would be removed. PostgreSQL's folder only where it bears the stack's name or lies in its state folder."""
    data = Path(stack.need("postgres_data"))
    paths = [stack.state(), stack.home / STACK]
    if data.parent.name == f"tmu-{stack.need('stack_id')[:8]}":
        paths.insert(0, data.parent)
    return [path for path in paths if path.exists()]


def delete(stack: Stack) -> list[Path]:
    """Remove the stores of a stack that was stopped; the settings file last, so that it may be repeated."""
    removed = doomed(stack)
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return removed
