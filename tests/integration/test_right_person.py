"""The right person, all of the records: inputs that used to be taken wrongly, from import to erasure by command.

Each kind has a case made here; `shared_cases` holds examples of the same kinds that were not made for these tests.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli_tools import bad, good, tmu

SPLITS = ("--holdout", "0.2", "--test", "0.2")


def home_with(tmp_path: Path, root: Path, *more: str) -> Path:
    """A workspace into which a folder of pictures was imported."""
    home = tmp_path / "w"
    good(home, "init", home)
    good(home, *importing(root), *more)
    return home


def importing(root: Path) -> list[str]:
    csv = ["--subjects-csv", str(root / "people.csv")] if (root / "people.csv").exists() else []
    return ["data", "import", "image-folder", "--root", str(root), *csv, *SPLITS]


def refused(tmp_path: Path, root: Path) -> str:
    good(tmp_path / "w", "init", tmp_path / "w")
    result = tmu(tmp_path / "w", *importing(root))
    assert (result.exit_code, result.stdout) == (4, "")
    assert not (tmp_path / "w" / "data").exists()
    return result.stderr


def plan(home: Path, *who: str) -> dict:
    return good(home, "plan", *who)


# examples of each kind, as they came


def test_case_unquoted_comma(tmp_path: Path, shared_cases: Path) -> None:
    said = refused(tmp_path, shared_cases / "unquoted-comma")
    assert "line 2, has 4 cells, the header 3" in said
    assert "Roe" not in said


def test_case_hidden_folder(tmp_path: Path, shared_cases: Path) -> None:
    good(tmp_path / "w", "init", tmp_path / "w")
    imported = good(tmp_path / "w", *importing(shared_cases / "hidden-folder"))
    assert (imported["classes"], imported["left out"]) == (2, {"hidden or system entry": 1})


def test_case_split_root(tmp_path: Path, shared_cases: Path) -> None:
    assert "look like splits" in refused(tmp_path, shared_cases / "split-root")
    imported = good(tmp_path / "w", *importing(shared_cases / "split-root"), "--option", "splits=folders")
    assert imported["classes"] == 2
    counts = good(tmp_path / "w", "data", "show")["counts"]
    assert {split: sum(by_class.values()) for split, by_class in counts.items()} == {
        "train": 10,
        "holdout": 10,
        "test": 0,
    }


def test_case_odd_pictures(tmp_path: Path, shared_cases: Path) -> None:
    first, *names = refused(tmp_path, shared_cases / "odd-pictures").splitlines()
    assert first.startswith("error: 4 of 17 pictures are refused: ")
    kinds = {"cut.jpg": "truncated", "empty.png": "empty", "moving.gif": "frames", "transparent.png": "transparent"}
    assert len(names) == 4
    for name, kind in kinds.items():
        assert any(name in line and kind in line for line in names)


def test_case_same_picture_two_people(tmp_path: Path, shared_cases: Path) -> None:
    home = home_with(tmp_path, shared_cases / "same-picture-two-people")
    found = plan(home, "--subject", "anna@example.org")
    (stays,) = found["stays"]
    assert stays.startswith("1 identical picture under other ids (1 person)")
    both = plan(home, "--subject", "anna@example.org", "--with-copies")
    assert (both["n_records"], both["stays"]) == (found["n_records"] + 1, [])


def test_case_letter_case(tmp_path: Path, shared_cases: Path) -> None:
    good(tmp_path / "w", "init", tmp_path / "w")
    imported = good(tmp_path / "w", *importing(shared_cases / "letter-case"))
    assert "differ only by letter case" in imported["warnings"][0]
    assert "(CSV line 2, CSV line 3)" in imported["warnings"][0]
    (stays,) = plan(tmp_path / "w", "--subject", "zoe.q@example.org")["stays"]
    assert "1 person whose id differs from a named one only by letter case" in stays


# the same kinds, made here


def photos(root: Path, rows: list[tuple[str, str, str]], *, same: dict[str, str] | None = None) -> Path:
    """Pictures of noise with a CSV. rows: class, person, split; same: pictures that equal another one."""
    stream = np.random.default_rng(0)
    lines = ["path,label,subject,split"]
    for number, (label, person, split) in enumerate(rows):
        name = f"{label}/{number}.png"
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(stream.integers(0, 256, (8, 8), np.uint8)).save(root / name)
        lines.append(f"{name},{label},{person},{split}")
    for copy, original in (same or {}).items():
        (root / copy).write_bytes((root / original).read_bytes())
    (root / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def people(*special: tuple[str, str, str]) -> list[tuple[str, str, str]]:
    return [*special, *((("cat", "dog")[number % 2], f"p{number}", "train") for number in range(24))]


def test_a_plan_does_not_say_that_nothing_was_learned_of_a_picture_that_was(tmp_path: Path) -> None:
    rows = people(("cat", "anna", "holdout"), ("cat", "bert", "train"))
    home = home_with(tmp_path, photos(tmp_path / "photos", rows, same={"cat/1.png": "cat/0.png"}))
    found = plan(home, "--subject", "anna")
    assert "No model has learned" not in json.dumps(found)
    assert found["warnings"][0].startswith("None of these records is in train, but 1 identical picture is")
    assert "1 train" in found["stays"][0]
    shown = tmu(home, "plan", "--subject", "anna", env={"COLUMNS": "200"}).stdout
    assert "Stays: 1 identical picture under other ids" in shown
    dry = good(home, "data", "erase", "--subject", "anna", "--dry-run")
    assert dry["stays"] == found["stays"]


def test_copies_are_erased_where_that_is_asked(tmp_path: Path) -> None:
    rows = people(("cat", "anna", "train"), ("cat", "bert", "train"), ("dog", "bert", "train"))
    home = home_with(tmp_path, photos(tmp_path / "photos", rows, same={"cat/1.png": "cat/0.png"}))
    file = tmp_path / "request.json"
    file.write_text(tmu(home, "plan", "--subject", "anna", "--with-copies", "--keys-only").stdout)
    assert len(json.loads(file.read_text())["record_keys"]) == 1
    erased = good(home, "data", "erase", "--file", str(file), "--yes")["plan"]
    assert (erased["n_records"], erased["stays"]) == (2, [])
    (bert,) = good(home, "data", "show", "--subject", "bert")
    assert (bert["state"], bert["train"]) == ("known", 1)
    good(home, "data", "verify")


def test_a_shared_picture_goes_with_either_person(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", people(("cat", "anna", "train"), ("dog", "bert", "train")))
    with (root / "people.csv").open("a") as csv:
        csv.write("cat/0.png,cat,bert,train\n")
    home = home_with(tmp_path, root)
    assert plan(home, "--subject", "anna")["n_records"] == 1
    assert plan(home, "--subject", "bert")["n_records"] == 2
    good(home, "data", "erase", "--subject", "anna", "--yes")
    (bert,) = good(home, "data", "show", "--subject", "bert")
    assert (bert["state"], bert["train"]) == ("known", 1)
    assert good(home, "data", "show", "--subject", "anna")[0]["state"] == "erased"
    again = good(home, *importing(root), "--replace")
    assert again["kept erased"] == 1
    good(home, "data", "verify")


@pytest.mark.parametrize("typed", ["Jos\u00e9", "Jose\u0301", " Jos\u00e9 "])
def test_one_person_however_the_id_is_written_and_whichever_way_it_comes(tmp_path: Path, typed: str) -> None:
    home = home_with(tmp_path, photos(tmp_path / "photos", people(("cat", "Jose\u0301", "train"))))
    expected = plan(home, "--subject", "Jos\u00e9")
    lines, as_json = tmp_path / "ids.txt", tmp_path / "ids.json"
    lines.write_text(f"\ufeff{typed}\n", encoding="utf-8")
    as_json.write_text(json.dumps({"subjects": [typed]}), encoding="utf-8")
    for way in (("--subject", typed), ("--file", str(lines)), ("--file", str(as_json))):
        assert plan(home, *way) == expected
    assert good(home, "plan", "--file", "-", input=f"{typed}\n") == expected


def test_an_id_that_cannot_be_seen_is_refused_on_every_way(tmp_path: Path) -> None:
    home = home_with(tmp_path, photos(tmp_path / "photos", people(("cat", "anna", "train"))))
    for way in (("--subject", "an\u200bna"), ("--file", "-")):
        line = bad(home, "plan", *way, code=3, input="bert\nan\u200bna\n")
        assert "U+200B" in line
        assert "na" not in line.replace("name", "").split("U+200B")[0].replace("An id of a person holds", "")


def test_case_is_folded_at_import_and_at_every_look_up(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", people(("cat", "Zoe.Q", "train"), ("dog", "zoe.q", "train")))
    home = home_with(tmp_path, root, "--fold-case")
    assert plan(home, "--subject", "ZOE.Q")["n_records"] == 2
    assert plan(home, "--subject", "zoe.q")["stays"] == []


def test_a_list_of_pictures_is_told_to_be_one(tmp_path: Path) -> None:
    home = home_with(tmp_path, photos(tmp_path / "photos", people(("cat", "anna", "train"))))
    line = bad(home, "plan", "--file", "-", code=3, input="cat/0.png\n")
    assert "The 1st subject of the request" in line
    assert "there is a record of that id. Name it with --record" in line
    assert "there is a person of that id. Name it with --subject" in bad(home, "plan", "--record", "anna", code=3)


def test_what_two_rows_of_the_csv_say_of_one_picture_must_agree(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", people(("cat", "anna", "train")))
    with (root / "people.csv").open("a") as csv:
        csv.write("cat/0.png,dog,bert,train\n")
    assert "CSV line 27 lists the picture of CSV line 2 again, with another label" in refused(tmp_path, root)


def test_a_plan_decodes_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tmu.data import contents

    rows = people(("cat", "anna", "train"), ("cat", "bert", "train"))
    home = home_with(tmp_path, photos(tmp_path / "photos", rows, same={"cat/1.png": "cat/0.png"}))
    good(home, "data", "erase", "--subject", "p3", "--yes")
    monkeypatch.setattr(contents, "read_stored", lambda path: pytest.fail("a picture was decoded"))
    assert plan(home, "--subject", "anna")["stays"]
    shards = list((home / "data" / "shards").iterdir())
    assert len(list((home / ".tmu" / "contents").iterdir())) == len(shards)
