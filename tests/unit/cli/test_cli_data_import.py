"""`tmu data import`: sizes and shares are seen before anything is stored; what is bad is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.photographs import photograph, photographs, scene
from tmu.cli import app
from tmu.workspace import Workspace


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with a secret, and without the stores that nothing here writes."""
    root = tmp_path / "w"
    (root / ".tmu").mkdir(parents=True)
    (root / "params.yaml").write_text("{}")
    (root / ".tmu" / "hash.key").write_bytes(bytes(range(32)))
    return root


@pytest.fixture
def album(tmp_path: Path) -> list[str]:
    """Thirty people with four photographs each, who say no split."""
    csv = photographs(tmp_path / "photos", people=30, each=4)
    csv.write_text("\n".join(line.rpartition(",")[0] for line in csv.read_text().splitlines()) + "\n")
    return ["image-folder", "--root", str(tmp_path / "photos"), "--subjects-csv", str(csv)]


def run(home: Path, *arguments: str) -> dict:
    result = CliRunner().invoke(app, ["--home", str(home), "--json", "data", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def files(home: Path) -> dict[str, bytes]:
    found = {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if "/.dvc/" not in name}


def test_a_dry_run_shows_splits_and_changes_nothing(home: Path, album: list[str]) -> None:
    before = files(home)
    shown = run(home, "import", *album, "--shares", "80/10/10", "--by-subject", "--dry-run")
    assert files(home) == before
    splits = shown["splits"]
    assert shown["dry_run"] and shown["records"] == shown["JPEGs kept"] == 122 == sum(
        n["records"] for n in splits.values()
    )
    assert sum(n["people"] for n in splits.values()) == 32  # each in one split: the thirty, and two of their own
    assert splits["train"]["records"] > 70 and all(n["classes"] == 2 for n in splits.values())
    assert shown["sizes"] == "122 of 32x32"
    (home / ".tmu" / "hash.key").unlink()
    people = CliRunner().invoke(app, ["--home", str(home), "data", "import", *album, "--dry-run"]).output
    assert "This would be imported; nothing was changed." in people and "122 of 32x32" in people
    assert not (home / ".tmu" / "hash.key").exists()


@pytest.mark.slow
def test_what_the_dry_run_shows_is_what_comes(tmp_path: Path, album: list[str]) -> None:
    home = Workspace.create(tmp_path / "made").root
    (home / ".tmu" / "hash.key").write_bytes(bytes(range(32)))
    options = ("--shares", "70/10/20", "--by-subject", "--buckets", "4")
    foreseen, done = (run(home, "import", *album, *options, *last) for last in (["--dry-run"], []))
    assert {name: {**n, "people": 0} for name, n in foreseen["splits"].items()} == {
        name: {**n, "people": 0} for name, n in done["splits"].items()
    }
    shown = run(home, "show")
    assert shown["decoder"].startswith("Pillow ") and shown["size"] == "32x32, 3 channels"
    index = home / "data" / "store.json"
    assert json.loads(index.read_text())["split_rule"] == {"holdout": 0.1, "test": 0.2, "seed": 0, "by": "subject"}
    again = run(home, "import", *album, "--replace", "--dry-run")
    assert {name: n["records"] for name, n in again["splits"].items()} == {
        name: n["records"] for name, n in done["splits"].items()
    }


def test_shares_that_change_nothing_are_said(home: Path, tmp_path: Path) -> None:
    csv = photographs(tmp_path / "photos")
    given = ["image-folder", "--root", str(tmp_path / "photos"), "--subjects-csv", str(csv), "--dry-run"]
    assert run(home, "import", *given)["warnings"] == []
    (warning,) = run(home, "import", *given, "--shares", "80/10/10")["warnings"]
    assert "the shares that were given change nothing" in warning


BAD = {
    "--shares 80/10": "three percentages of 100",
    "--shares 80/10/20": "three percentages of 100",
    "--shares 0/50/50": "three percentages of 100",
    "--shares 80/10/10 --test 0.1": "Leave out --holdout and --test",
    "--fit crop": "`fit` needs a size, such as --size 224",
    "--size 0": "option `size`",
}


def refused(home: Path, *arguments: str) -> tuple[int, str]:
    before = files(home)
    result = CliRunner().invoke(app, ["--home", str(home), "--json", "data", "import", *arguments])
    assert files(home) == before
    error = json.loads(result.stdout)["error"]
    return result.exit_code, f"{error['what']} {error['hint']}"


def test_options_that_say_nothing_sound(home: Path, album: list[str]) -> None:
    for options, said in BAD.items():
        code, message = refused(home, *album, *options.split(), "--dry-run")
        assert (code, said in message) == (2, True), message


def test_mixed_sizes_are_told_as_a_distribution(home: Path, tmp_path: Path) -> None:
    root = tmp_path / "mixed"
    sizes = [(32, 32)] * 6 + [(48, 32)] * 4 + [(32, 48)] * 3 + [(40, 40), (20, 20)]
    for number, size in enumerate(sizes):
        path = root / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photograph(scene(number, size)))
    given = ["image-folder", "--root", str(root), "--holdout", "0", "--test", "0", "--dry-run"]
    said = "6 of 32x32, 4 of 48x32, 3 of 32x48, 2 of 2 other sizes; smallest 20x20, largest 40x40"
    assert refused(home, *given) == (
        4,
        f"9 of 15 pictures are refused: 9 x of another size. The sizes: {said}. "
        "Give all of them one: `--size`, and `--fit resize`, `crop` or `pad`.",
    )
    for fit, how in {
        "resize": "resized", "crop": "resized, its longer sides cropped", "pad": "resized and padded",
    }.items():  # fmt: skip
        shown = run(home, "import", *given, "--size", "32", "--fit", fit)
        assert shown["sizes"] == said and shown["converted"] == {how: 9} and shown["JPEGs kept"] == 6
