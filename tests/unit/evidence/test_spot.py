"""A spot: the verdict follows from the numbers on record, and a number, sentence or limit that was changed is found."""

import copy
import json
from pathlib import Path

import pytest

from tests.unit.audit.by_table.test_by_table_verdict import World
from tests.unit.evidence.test_documents_of_evidence import made
from tmu.audit.by_table import audit_by_table
from tmu.config import AuditConfig
from tmu.errors import DataError
from tmu.evidence.manifest import Manifest, manifest_bytes
from tmu.evidence.spot import judged_again, spots_of_bundle
from tmu.evidence.sums import write_sums
from tmu.refs import AuditRef


@pytest.fixture(scope="module")
def audit() -> dict:
    """audit.json of five persons."""
    return json.loads(json.dumps(audit_by_table(World(3).case(10, 30, left=0.0)).data))


def bundle(folder: Path, audit: dict, **changes: object) -> Path:
    manifest: Manifest = made(verdict=audit["verdict"]["outcome"])
    held = manifest.made.model_copy(update={"audit": AuditRef(uri="audit/1", digest="1")})
    manifest = manifest.model_copy(update={"made": held} | changes)
    (folder / "manifest.json").write_bytes(manifest_bytes(manifest))
    (folder / "audit.json").write_text(json.dumps(audit))
    write_sums(folder)
    return folder


def test_the_verdict_follows_from_the_numbers_to_the_letter(audit: dict, tmp_path: Path) -> None:
    again = judged_again(audit, World(3).case(10, 30, left=0.0).config)
    assert again.as_json() == {name: audit["verdict"][name] for name in again.as_json()}


@pytest.mark.parametrize(
    "where",
    [
        ("measured", "outer", "request", "unlearned", "evidence", 0),
        ("measured", "distance", "models", "unlearned", "value"),
        ("measured", "utility", "test", "lost", "value"),
        ("measured", "outer", "power", "p_value"),
    ],
)
def test_a_number_that_was_changed_is_found(audit: dict, where: tuple, tmp_path: Path) -> None:
    changed = copy.deepcopy(audit)
    part = changed
    for step in where[:-1]:
        part = part[step]
    part[where[-1]] += 5.0
    with pytest.raises(DataError):
        spots_of_bundle(bundle(tmp_path, changed, **limits()))


def limits() -> dict:
    """The manifest with the limits under which the audit of `World` was judged."""
    case = made().case
    params = case.params.model_copy(update={"audit": World(3).case(10, 30, left=0.0).config})
    return {"case": case.model_copy(update={"params": params})}


def test_a_bundle_is_checked_and_repeated(audit: dict, tmp_path: Path) -> None:
    sums, verdict = spots_of_bundle(bundle(tmp_path, audit, **limits()))
    assert sums.outcome == "passed" and verdict.outcome == audit["verdict"]["outcome"]


def test_a_sentence_or_a_verdict_that_was_changed_is_found(audit: dict, tmp_path: Path) -> None:
    changed = copy.deepcopy(audit)
    changed["verdict"]["reasons"][1] = "passed: all is well."
    with pytest.raises(DataError, match="A rule said"):
        spots_of_bundle(bundle(tmp_path, changed, **limits()))
    other = "failed" if audit["verdict"]["outcome"] != "failed" else "passed"
    with pytest.raises(DataError, match="The verdict on record"):
        spots_of_bundle(bundle(tmp_path, audit, verdict=other, **limits()))
    assert AuditConfig().share_left == 0.25  # the limits are the manifest's
