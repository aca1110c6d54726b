"""Bad input: one line that names the thing and the hint, a non-zero exit, and a workspace that is as it was."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.cli_tools import bad, good, listing, tmu

PERSON = ("--subject", "contributor-007")
ERASED = ("--subject", "contributor-001")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with digits from which one contributor was erased, and its index cached."""
    root = tmp_path_factory.mktemp("template") / "w"
    good(root, "init", root)
    good(root, "data", "import", "digits", "--buckets", "8")
    good(root, "data", "erase", *ERASED, "--yes")
    good(root, "data", "show")
    return root


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A copy to be broken at will."""
    return Path(shutil.copytree(template, tmp_path / "w", symlinks=True))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A workspace without data."""
    good(tmp_path / "w", "init", tmp_path / "w")
    return tmp_path / "w"


def refused(home: Path, *arguments: str | Path, code: int, says: tuple[str, ...], **more: str) -> None:
    """The call fails as it should, names what `says` lists, and changes nothing below `home`."""
    before = listing(home)
    line = bad(home, *arguments, code=code, **more)
    for part in says:
        assert part in line
    assert listing(home) == before


@pytest.mark.parametrize("verb", [("delete", "--yes"), ("plan",), ("data", "erase", "--yes")])
def test_requests_for_what_is_not_there(home: Path, verb: tuple[str, ...]) -> None:
    spelling = ("is unknown", "Check its spelling")
    refused(home, *verb, *PERSON, "--subject", "maria", code=3, says=("The 2nd subject", *spelling))
    refused(home, *verb, "--record", "maria.png", code=3, says=("The 1st record", *spelling))
    refused(home, *verb, *ERASED, code=3, says=("The 1st subject", "was erased before", "Leave it out"))
    erased = next(number for number in range(1797) if _state(home, number) == "erased")
    refused(home, *verb, "--record", f"digit-{erased:04d}", code=3, says=("The 1st record", "was erased before"))


@pytest.mark.parametrize("verb", [("delete", "--yes"), ("plan",), ("data", "erase", "--yes")])
def test_empty_requests(home: Path, verb: tuple[str, ...]) -> None:
    for request, text in (((), ""), (("--file", "-"), ""), (("--file", "-"), "# nobody\n"), (("--file", "-"), "{}")):
        refused(home, *verb, *request, code=3, says=("names no person", "--subject"), input=text)


def test_a_raw_id_is_never_repeated(home: Path) -> None:
    assert "maria" not in tmu(home, "delete", "--subject", "maria", "--yes").output


def test_a_request_that_would_leave_a_class_empty_says_what_follows(home: Path) -> None:
    zeros = [f"digit-{number:04d}" for number in (load_digits().target == 0).nonzero()[0]]
    known = [word for name in zeros if _state(home, int(name[-4:])) == "known" for word in ("--record", name)]
    plan = good(home, "plan", *known)
    assert plan["choice"]["method"] == "retrain" and plan["retires"] == [0]
    assert "its output is retired" in plan["warnings"][0]


def test_a_request_for_more_than_half(home: Path) -> None:
    most = [word for number in range(2, 80) for word in ("--subject", f"contributor-{number:03d}")]
    refused(home, "delete", *most, "--yes", code=3, says=("more than half", "`tmu data erase`"))


def test_where_there_is_a_ledger_nothing_is_erased_past_it(home: Path) -> None:
    good(home, "request", "receive", "--id", "case-1", *PERSON, "--unverified")
    says = ("This workspace has a ledger", "`tmu delete`", "`tmu request receive`")
    refused(home, "data", "erase", *PERSON, "--yes", code=3, says=says)
    refused(home, "data", "erase", *PERSON, "--dry-run", code=3, says=says)
    most = [word for number in range(2, 80) for word in ("--subject", f"contributor-{number:03d}")]
    good(home, "data", "erase", *most, "--yes")  # too much for a deletion: there is no other way


def test_a_dataset_with_one_class(empty: Path, tmp_path: Path) -> None:
    photos = _photos(tmp_path, {"cats/1.png": _png, "cats/2.png": _png})
    refused(empty, "data", "import", "image-folder", "--root", photos, code=4, says=("fewer than two classes",))


def test_corrupt_and_foreign_image_bytes(empty: Path, tmp_path: Path) -> None:
    cut = _photos(tmp_path / "cut", {"a/1.png": _png, "b/maria.png": _cut_png})
    text = _photos(tmp_path / "text", {"a/1.png": _png, "b/maria.png": lambda path: path.write_text("hello")})
    before = listing(empty)
    for photos, kind in ((cut, "is truncated or damaged"), (text, "is no picture")):
        result = tmu(empty, "data", "import", "image-folder", "--root", photos)
        assert (result.exit_code, result.stdout) == (4, "")
        first, second = result.stderr.splitlines()
        assert first == f"error: Image 2 in path order {kind}. Replace or remove it."
        assert second == f"  Image 2 in path order, b/maria.png: {kind}"  # by name, on the terminal alone
    assert listing(empty) == before


def test_a_truncated_shard(home: Path) -> None:
    shard = max((home / "data" / "shards").iterdir(), key=lambda path: path.stat().st_size)
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    for verb in (("data", "verify"), ("data", "show"), ("delete", *PERSON, "--yes")):
        refused(home, *verb, code=4, says=(shard.name,))


def test_a_bundle_with_a_changed_byte(home: Path) -> None:
    uri = good(home, "train", "original", "--set", "train.epochs=1", "--out", home / "out")["uri"]
    weights = home / "out" / "weights.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(bytes(changed))
    refused(home, "twin", "fit", "--original", uri, code=7, says=("weights.safetensors", "was changed", "Delete"))


def test_unknown_names(home: Path) -> None:
    hints = {"model.name=nope": (5, "`nope`", "Known: "), "model.options.nope=1": (2, "`nope`", "Known options: ")}
    for setting, (code, *says) in hints.items():
        refused(home, "train", "original", "--set", setting, code=code, says=tuple(says))
    refused(home, "train", "original", "--set", "train.epoch=1", code=2, says=("`train.epoch`", "tmu show params"))
    refused(home, "delete", *PERSON, "--yes", "--method", "nope", code=2, says=("`nope`", "Choose from"))
    unlearn = ("unlearn", "--forget", "x", "--original", "y", "--method", "nope")
    refused(home, *unlearn, code=2, says=("`nope`", "Choose from"))


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("sed: 1\n", 2, ("`sed`", "tmu show params")),
        ("train: {epochs: 0}\n", 2, ("`train.epochs`", "Fix that key")),
        ("train: [\n", 2, ("is not YAML", "Fix that line")),
        ("- a list\n", 2, ("params.yaml",)),
        ("model: {name: nope}\n", 5, ("`nope`", "Known: ")),
        ("unlearn: {method: nope}\n", 2, ("`nope`", "Choose from")),
        ("unlearn: {options: {nope: 1}}\n", 2, ("`nope`", "Its options")),
    ],
)
def test_bad_parameters_stop_a_deletion_before_anything_is_erased(
    home: Path, text: str, code: int, says: tuple[str, ...]
) -> None:
    (home / "params.yaml").write_text(text)
    refused(home, "delete", *PERSON, "--yes", code=code, says=says)


def test_no_workspace(tmp_path: Path) -> None:
    refused(tmp_path, "data", "show", code=2, says=("is not a workspace", "tmu init"))


def test_a_file_size_limit_stops_an_import(empty: Path) -> None:
    """The operating system's own refusal, in a process of its own."""
    before = listing(empty)
    done = subprocess.run(
        [sys.executable, "-c", "from tmu.cli import main; main()", "--home", empty, "data", "import", "digits"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert done.stderr.startswith("error: The file size limit is reached")
    assert done.stderr.count("\n") == 1
    assert listing(empty) == before


@pytest.fixture
def full(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The workspace on a file system without room: a small tmpfs where one can be mounted, else every sync refuses."""
    with _mounted(empty, "size=160k") as real:
        if not real:
            monkeypatch.setattr(os, "fsync", _refuse(errno.ENOSPC))
        yield empty


@pytest.fixture
def sealed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A read-only workspace: mounted so where that is allowed, else every new file refuses."""
    with _mounted(home, "ro") as real:
        if not real:
            monkeypatch.setattr("tempfile.mkstemp", _refuse(errno.EROFS))
            monkeypatch.setattr("tempfile.mkdtemp", _refuse(errno.EROFS))
        yield home


def test_a_full_disk(full: Path) -> None:
    refused(full, "data", "import", "digits", code=7, says=("The disk is full", "Free some space"))


def test_a_read_only_folder(sealed: Path) -> None:
    for verb in (("data", "erase", *PERSON, "--yes"), ("train", "original", "--set", "train.epochs=1")):
        refused(sealed, *verb, code=7, says=("The folder is read-only", "Choose a folder"))


class _mounted:
    """Put a tmpfs with a copy of `folder` over it; says whether that worked."""

    def __init__(self, folder: Path, option: str):
        self.folder, self.option, self.done = folder, option, False

    def __enter__(self) -> bool:
        copy = self.folder.with_name("copy")
        shutil.copytree(self.folder, copy, symlinks=True)
        size = self.option if self.option.startswith("size") else "size=64m"
        self.done = _mount("-t", "tmpfs", "-o", size, "tmpfs", self.folder)
        if self.done:
            shutil.copytree(copy, self.folder, symlinks=True, dirs_exist_ok=True)
            if self.option == "ro":
                assert _mount("-o", "remount,ro", self.folder)
        return self.done

    def __exit__(self, *_: object) -> None:
        if self.done:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


def _mount(*arguments: str | Path) -> bool:
    if shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def _refuse(number: int):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def _photos(root: Path, files: dict) -> Path:
    for name, write in files.items():
        (root / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        write(root / "photos" / name)
    return root / "photos"


def _png(path: Path) -> None:
    Image.new("L", (32, 32), 7).save(path)


def _cut_png(path: Path) -> None:
    Image.effect_noise((32, 32), 64).save(path)
    path.write_bytes(path.read_bytes()[:300])


def _state(home: Path, number: int) -> str:
    from tmu.cli.selection import Selection, look_up
    from tmu.data.keys import DEMO_SECRET, Keys
    from tmu.data.store import RecordStore

    if home not in _INDEXES:
        _INDEXES[home] = RecordStore.open(home / "data").index()
    key = Keys(DEMO_SECRET).record(f"digit-{number:04d}")
    return next(look_up(_INDEXES[home], Selection([], [key]))).state


_INDEXES: dict = {}
