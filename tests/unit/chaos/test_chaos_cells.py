"""Which cells cannot be run, and why that is no verdict."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.cells import Cell
from tests.chaos.run import cannot_be_run, run


def field(store: str, no_disk: str | None = None) -> Any:
    stack = SimpleNamespace(settings=SimpleNamespace(s3_server=store))
    return SimpleNamespace(no_disk=no_disk, servers=SimpleNamespace(stack=stack))


@pytest.mark.parametrize(
    ("store", "no_disk", "fault", "why"),
    [
        ("moto", None, "s3", "end with its process"),
        ("moto", None, "s3-503", ""),
        ("ceph", None, "s3", ""),
        ("ceph", "mount failed", "disk", "mount failed"),
        ("ceph", None, "disk", ""),
    ],
)
def test_a_store_that_forgets_is_not_killed_and_no_other_disk_is_filled(
    store: str, no_disk: str | None, fault: str, why: str
) -> None:
    found = cannot_be_run(field(store, no_disk), Cell("auditing", fault))
    assert (why in found) and bool(why) == bool(found)


def test_such_a_cell_is_skipped_and_neither_green_nor_red() -> None:
    verdict = run(field("moto"), Cell("verifying", "s3"))
    assert verdict.skipped and not verdict.wrong and not verdict.survived
