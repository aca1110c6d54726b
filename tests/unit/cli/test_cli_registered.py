"""Versions as `tmu show versions` lists them."""

from types import SimpleNamespace

import pytest

from tmu.cli import registered


@pytest.mark.parametrize(("serving", "blocked"), [({"serving": "blocked"}, True), ({}, False)])
def test_every_blocked_version_is_marked_and_not_only_the_one_that_the_alias_names(serving, blocked) -> None:
    tags = {"data_revision": "1.dir", "method": "retrain"} | serving
    version = SimpleNamespace(version=3, tags=tags, role="gold", weights_sha256="w", files_sha256="f")
    row = registered.row(version, {})
    assert (row["blocked"], row["aliases"], row["purged"]) == (blocked, [], None)


def test_a_purged_version_says_when() -> None:
    tags = {"data_revision": "1.dir", "serving": "purged", "purged_at": "2026-03-01"}
    row = registered.row(SimpleNamespace(version=1, tags=tags, role="gold", weights_sha256="w", files_sha256=None), {})
    assert (row["blocked"], row["purged"], row["method"]) == (False, "2026-03-01", "none")
