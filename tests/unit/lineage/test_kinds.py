"""Whatever may hold a person is declared: a new artifact kind, reference or entry of `.tmu/` that is not fails here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tmu import refs
from tmu.lineage.kinds import KINDS, Kind, kind_of_artifact

ROOT = Path(__file__).parents[3]
ROOMS = ("tmu", "flows", "tasks", "infra")
_SIDE = ("-wal", "-shm", "-journal")  # of a SQLite file


def kind_of_entry(name: str) -> Kind | None:
    """The kind of an entry of `.tmu/`; None: not declared. What a process is building counts as scratch."""
    if ".building-" in name:
        return next(each for each in KINDS if each.name == "scratch")
    for end in _SIDE:
        name = name.removesuffix(end)
    return next((each for each in KINDS if name in each.folders), None)


def undeclared(source: str) -> Iterator[str]:
    """Artifact kinds and entries of `.tmu/` that a source names and the registry does not know."""
    for node in ast.walk(ast.parse(source)):
        kind = _artifact_kind(node)
        if kind is not None and kind_of_artifact(kind) is None:
            yield f"artifact kind {kind}"
        entry = _entry(node)
        if entry is not None and kind_of_entry(entry) is None:
            yield f"entry {entry}"


def _artifact_kind(node: ast.AST) -> str | None:
    """Of `make(workspace, "kind", ...)`, `artifacts.create("kind", ...)` and `.derive`, where it is written there."""
    if not isinstance(node, ast.Call):
        return None
    called = ast.unparse(node.func)
    place = 1 if called == "make" else 0 if called.endswith("artifacts.create") else None
    if place is None or len(node.args) <= place or called.startswith("LocalArtifacts"):
        return None
    return _text(node.args[place])


def _entry(node: ast.AST) -> str | None:
    """Of `….state("entry", ...)`, `… / ".tmu" / "entry"` and `Path(".tmu", "entry")`."""
    if isinstance(node, ast.Call) and node.args:
        called = ast.unparse(node.func)
        if called.endswith(".state"):
            return _text(node.args[0])
        if called.endswith("Path") and len(node.args) > 1 and _text(node.args[0]) == ".tmu":
            return _text(node.args[1])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.BinOp):
        return _text(node.right) if _text(node.left.right) == ".tmu" else None
    return None


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@pytest.mark.parametrize("room", ROOMS)
def test_everything_that_the_code_names_is_declared(room):
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in undeclared(path.read_text())
    }
    assert not found, f"declare it in tmu/lineage/kinds.py, with what it may hold: {sorted(found)}"


def test_the_scan_finds_what_is_not_declared():
    planted = """
make(workspace, "embeddings", identity, build)
workspace.artifacts.create("logits", key, identity)
workspace.state("thumbnails", "a.png")
folder = root / ".tmu" / "gallery"
other = Path(".tmu", "exports")
make(workspace, "model", identity, build)
workspace.state("snapshots")
"""
    wanted = {"artifact kind embeddings", "artifact kind logits", "entry thumbnails", "entry gallery", "entry exports"}
    assert set(undeclared(planted)) == wanted


def test_every_reference_is_of_a_declared_kind():
    kinds = {each.model_fields["kind"].default for each in refs.Ref.__subclasses__()}
    assert len(kinds) == len(refs.Ref.__subclasses__()) >= 6
    assert not [kind for kind in kinds if kind_of_artifact(kind) is None]


def test_what_may_hold_somebody_is_purged_and_every_store_that_is_purged_is_of_a_kind():
    # the first two are destroyed at the purge's end; the third is reached as the stores that it serves
    themselves = {"purge record", "search inventory", "server of the stack"}
    assert {kind.name for kind in KINDS if kind.holds and not kind.places} == themselves
    modules = {path.stem for path in (ROOT / "tmu" / "purge" / "places").glob("[!_]*.py")}
    assert modules and modules <= {place for kind in KINDS for place in kind.places}
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_an_entry_is_known_by_its_name_alone():
    assert kind_of_entry("ledger.db-wal").name == "ledger"
    assert kind_of_entry(".x.building-12-ab").name == "scratch"
    assert kind_of_entry("elsewhere") is None
    assert kind_of_artifact("twin", "reference-twin").holds == ()
    assert kind_of_artifact("twin", "twin").holds
    assert kind_of_artifact("model", "gold").name == "gold"
