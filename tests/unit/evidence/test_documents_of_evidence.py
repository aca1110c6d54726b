"""Letter, register, model card, bill of materials, sums: what they say, and that they lead to nobody."""

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from tests.cli_tools import good, tmu
from tests.unit.deletion.test_deletion import DATA, FORGET
from tmu.config import Params, UnlearnConfig
from tmu.errors import DataError
from tmu.evidence import letter, model_card, register, sbom
from tmu.evidence.manifest import Environment, Made, Manifest, manifest_bytes, read_manifest
from tmu.evidence.sums import SUMS, check_sums, parse_sums, write_sums
from tmu.refs import DataRef, ModelRef
from tmu.steps.cases import UnlearnCase

AT = "2026-03-10T09:30:00+00:00"
CPU = Environment(device="cpu", precision="fp32", threads=1, torch="2", capability="AVX512", gpu="x", machine="m")


def model(role: str, weights: str) -> ModelRef:
    return ModelRef(uri=f"model/{weights}", digest=weights, weights=weights * 8, role=role)


def made(method: str = "tmu-soft", verdict: str = "passed") -> Manifest:
    case = UnlearnCase(
        data=DATA,
        forget=FORGET,
        original=model("original", "a1b2"),
        params=Params(unlearn=UnlearnConfig(method=method)),
    )
    return Manifest(
        request="0" * 16, at=AT, case=case, seeds={"init": 0}, code="c", lock="l", version="0", identity="i",
        environment=CPU, moved=0.5, verdict=verdict,
        made=Made(unlearned=model("unlearned", "c3d4"), data=DataRef(uri="data", digest="2.dir")),
    )  # fmt: skip


def told(**changes: object) -> letter.Letter:
    facts = {
        "received": AT, "done": "2026-03-21", "records": 10, "purged": True, "learned": True, "exact": False,
        "verdict": "passed", "issuer": "Museum", "contact": "privacy desk", "authority": "the authority",
    }  # fmt: skip
    return letter.Letter(**facts | changes)


def test_a_letter_about_a_solved_head_tells_of_its_recomputation_and_of_no_test() -> None:
    said = letter.letter_text(told(exact=True, head_alone=True))
    assert "computed the layer once more, from the pictures that stay, and it was the same" in said
    assert "We tested" not in said
    assert "We tested the new model" in letter.letter_text(told())


def test_a_letter_that_nobody_signs_is_not_printed_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tmu.steps.write_letter.letter_of", lambda workspace, request: told())
    good(tmp_path, "init", tmp_path)
    assert (
        'do not say who issues them and where to ask. Write `issuer = "…"`' in tmu(tmp_path, "letter", "case-1").stderr
    )
    (tmp_path / "tmu.toml").write_text('issuer = "Museum"\nissuer_contact = "privacy desk"\n')
    signed = tmu(tmp_path, "letter", "case-1")
    assert (signed.exit_code, signed.stderr) == (0, "")


def test_a_manifest_comes_back_as_it_was_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest_bytes(made()))
    assert read_manifest(tmp_path) == made()
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        read_manifest(tmp_path)
    with pytest.raises(DataError, match="There is no"):
        read_manifest(tmp_path / "absent")


def test_a_device_class_is_told_from_another_by_what_decides_the_bits() -> None:
    assert CPU.differences(CPU.model_copy(update={"gpu": "other"})) == []  # not used on a processor
    assert CPU.differences(CPU.model_copy(update={"capability": "AVX2"})) == ["capability: AVX512 then, AVX2 now"]
    assert len(CPU.differences(CPU.model_copy(update={"device": "cuda", "threads": 2, "torch": "3"}))) == 3
    gpu = CPU.model_copy(update={"device": "cuda"})
    assert gpu.differences(gpu.model_copy(update={"gpu": "other", "capability": "AVX2"})) == ["gpu: x then, other now"]


def test_the_letter_says_what_was_done_when_what_stays_and_whom_to_ask() -> None:
    text = letter.letter_text(told(stays=("Copies for safety: gone in May.",)))
    for part in ("10 March 2026", "21 March 2026", "10 pictures", "also from its earlier versions",
                 "Copies for safety: gone in May.", "privacy desk", "the authority", "did not find"):  # fmt: skip
        assert part in text
    assert letter.letter_markdown(told()).count("## ") == 4


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({"purged": False}, "not yet from its earlier versions", "also from its earlier"),
        ({"learned": False}, "No model of ours had learned", "We tested"),
        ({"exact": True}, "trained it again without them", "was changed and not trained again"),
        ({"verdict": "inconclusive"}, "could not tell", "did not find"),
        ({"verdict": "failed"}, "found a difference", "did not find"),
    ],
)
def test_the_letter_promises_no_more_than_was_done(changes: dict, said: str, unsaid: str) -> None:
    text = letter.letter_text(told(**changes))
    assert said in text and unsaid not in text


def test_the_register_is_csv_and_no_formula_gets_into_a_spreadsheet() -> None:
    rows = [
        register.Row(request="r1", received=AT, ground="GDPR 17(1)", outcome="completed", records="10"),
        register.Row(request="r2", received=AT, ground="=1+1, denied", outcome="denied"),
    ]
    read = list(csv.DictReader(io.StringIO(register.register_csv(rows).decode())))
    assert [each["request"] for each in read] == ["r1", "r2"]
    assert read[1]["ground"] == "'=1+1, denied" and read[0]["records"] == "10"


def cells(value: float) -> dict:
    return {"value": value, "low": value - 1, "high": value + 1}


AUDIT = {
    "result": {
        "metrics": [{"name": "accuracy_test", "title": "TA", "unit": "%", "headline": True}],
        "rows": [
            {"name": "original", "metrics": {"accuracy_test": cells(91)}},
            {"name": "tmu-soft", "metrics": {"accuracy_test": cells(90)}},
        ],
    }
}


def test_the_model_card_has_front_matter_that_the_hub_reads_and_the_audits_numbers() -> None:
    page = model_card.model_card(made(), AUDIT).decode()
    _, front, text = page.split("---\n", 2)
    metric = yaml.safe_load(front)["model-index"][0]["results"][0]["metrics"][0]
    assert (metric["type"], metric["value"]) == ("accuracy", 0.9)
    assert "| TA | 90 [89, 91] | 91 [90, 92] | % |" in text and "approximate" in text
    exact = model_card.model_card(made("retrain"), None).decode()
    assert "trained again without" in exact and "not audited" in exact and "approximate" not in exact


class Installed:
    def __init__(self, name: str, version: str):
        self.metadata, self.version = {"Name": name}, version


def test_the_bill_of_materials_is_the_same_for_the_same_packages_in_any_order() -> None:
    found = [Installed("B_b", "2"), Installed("a", "1"), Installed("tmu", "0")]
    hashes = {"b-b==2": ["f" * 64]}
    one, two = (sbom.made_of(sbom.pinned(each), AT, hashes) for each in (found, found[::-1]))
    assert one == two
    raw = json.loads(one)
    assert [(each["name"], each["purl"]) for each in raw["components"]] == [
        ("a", "pkg:pypi/a@1"), ("b-b", "pkg:pypi/b-b@2"),
    ]  # fmt: skip
    assert raw["components"][1]["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": "f" * 64}]
    assert (raw["bomFormat"], raw["specVersion"]) == ("CycloneDX", "1.6")
    assert sbom.made_of([("a", "2")], AT, {}) != one


def test_the_digests_of_the_lock_file_are_found(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(f"Some_Pkg[x]==1.0 \\\n    --hash=sha256:{'b' * 64} \\\n    --hash=sha256:{'a' * 64}\n")
    assert sbom._locked(lock.read_text()) == {"some-pkg==1.0": ["a" * 64, "b" * 64]}


def test_each_change_of_a_bundle_is_found(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    assert check_sums(tmp_path) == 2
    (tmp_path / "a.txt").write_text("other")
    with pytest.raises(DataError, match=r"a\.txt .* changed"):
        check_sums(tmp_path)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(DataError, match="missing"):
        check_sums(tmp_path)
    with pytest.raises(DataError, match=SUMS):
        parse_sums(f"{'0' * 64}  ../evil\n".encode())
    with pytest.raises(DataError, match="no bundle"):
        check_sums(tmp_path / "absent")
