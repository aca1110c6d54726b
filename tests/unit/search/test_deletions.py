"""What deletions took out, where forget sets can be read no more: by the chain of revisions, and not beyond it."""

from pathlib import Path

from tmu.files import write_json
from tmu.search.deletions import Claim, Deletions
from tmu.search.inventory import Revision
from tmu.search.look import Seen, Thing
from tmu.search.models import Models
from tmu.search.report import Learned
from tmu.search.revisions import Revisions

NOTHING, SOMETHING = Revision(train=0, rows=0), Revision(train=2, rows=3)
UNTAUGHT = Revision(train=0, rows=1)
ORIGINAL = Claim("original", "A", "", "")
FIRST = Claim("unlearned", "A", "f", "original")
SECOND = Claim("unlearned", "B", "g", "first")
GOLD = Claim("gold", "A", "f", "")


def manifest(before: str, forget: str, after: str) -> dict:
    """As the evidence has it."""
    case = {"data": {"digest": before}, "forget": {"digest": forget}}
    return {"case": case, "made": {"data": {"digest": after}}}


def deletions(last: Revision | None, **claims: Claim) -> Deletions:
    """From A without f to B, from there without g to C, which holds `last`."""
    known = {"C": last} if last else {}
    made = Deletions(Revisions(known), {"original": ORIGINAL, "first": FIRST, **claims})
    for each in (manifest("A", "f", "B"), manifest("B", "g", "C"), {"kind": "model"}, {"case": {}, "made": None}):
        made.note(each)
    return made


def test_a_revision_that_is_read_and_holds_nothing_tells() -> None:
    assert deletions(NOTHING).left_nothing(SECOND) == "C"
    assert deletions(SOMETHING).left_nothing(SECOND) == ""
    assert deletions(None).left_nothing(SECOND) == ""  # it can be read nowhere
    assert deletions(NOTHING).left_nothing(FIRST) == ""  # B can be read nowhere
    assert deletions(NOTHING).left_nothing(Claim("unlearned", "B", "another", "first")) == ""


def test_a_chain_is_unbroken_from_the_original_on() -> None:
    assert deletions(NOTHING).unbroken(FIRST) and deletions(NOTHING).unbroken(SECOND)
    assert not deletions(NOTHING, original=Claim("original", "Z", "", "")).unbroken(SECOND)  # it learned another one
    assert not deletions(NOTHING, first=Claim("unlearned", "Z", "f", "original")).unbroken(SECOND)
    assert not deletions(NOTHING, first=Claim("", "", "", "")).unbroken(SECOND)
    assert not deletions(NOTHING).unbroken(Claim("unlearned", "B", "g", "of nobody"))
    assert deletions(NOTHING, first=GOLD).unbroken(SECOND)
    loop = Claim("unlearned", "B", "g", "loop")
    assert not deletions(NOTHING, loop=loop).unbroken(loop)


def told(folder: Path, last: Revision, *without: str) -> Learned:
    """Of a model that was made from one that was destroyed; without: what is not there to be read."""
    models = Models(Revisions({"B": last}))
    identity = {"stage": "original", "data": "A", "forget": None}
    original = {"kind": "model", "identity": identity, "files": {"weights.safetensors": "original"}}
    made = original | {"identity": {"stage": "unlearned", "data": "A", "forget": "f", "original": "original"}}
    files = {
        "w/.tmu/purged/model/o.json": {"uri": "model/o", "manifest": original},
        "w/.tmu/evidence/r/manifest.json": manifest("A", "f", "B"),
        "w/.tmu/artifacts/model/u/manifest.json": made | {"files": {"weights.safetensors": "0"}},
        "w/.tmu/artifacts/model/u/weights.pt": {},
    }
    for address, content in files.items():
        if not address.startswith(without):
            write_json(folder / "it.json", content)
            seen = Seen(sha256="0", md5="0", size=1)
            models.note(Thing("workspace", address, folder / "it.json"), seen, address)
    (model,) = models.told()
    return model.learned


def test_a_model_whose_original_was_destroyed_is_told_by_purge_note_and_evidence(tmp_path: Path) -> None:
    assert told(tmp_path, NOTHING) is Learned.UNLEARNED
    assert told(tmp_path, SOMETHING) is Learned.YES
    assert told(tmp_path, UNTAUGHT) is Learned.UNTELLABLE
    assert told(tmp_path, NOTHING, "w/.tmu/purged") is Learned.UNTELLABLE
    assert told(tmp_path, NOTHING, "w/.tmu/evidence") is Learned.UNTELLABLE


def test_a_gold_learned_what_its_revision_holds_without_the_forget_set(tmp_path: Path) -> None:
    for last, expected in ((NOTHING, Learned.NO), (SOMETHING, Learned.YES), (UNTAUGHT, Learned.UNTELLABLE)):
        models = Models(Revisions({"B": last}))
        for name, content in (("evidence", manifest("A", "f", "B")), ("gold", _gold())):
            write_json(tmp_path / "it.json", content)
            seen = Seen(sha256="0", md5="0", size=1)
            models.note(Thing("workspace", f"w/{name}/manifest.json", tmp_path / "it.json"), seen, name)
        models.note(Thing("workspace", "w/x.pt", tmp_path / "it.json"), Seen(sha256="0", md5="0", size=1), "x")
        assert [each.learned for each in models.told()] == [expected]


def _gold() -> dict:
    identity = {"stage": "gold", "data": "A", "forget": "f"}
    return {"kind": "model", "identity": identity, "files": {"weights.safetensors": "0"}}
