"""References as typed, `--out` that must not destroy, and flows that are found by name."""

from pathlib import Path

import pytest

from tests.cli_tools import bad, good
from tmu import manifest
from tmu.cli import flow
from tmu.cli.references import forget_ref, identity, model_ref, twin_ref
from tmu.cli.workspace import inside, out_of
from tmu.errors import ConfigError
from tmu.settings import Settings
from tmu.workspace import Workspace

KEY = "0" * 64


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return Workspace(tmp_path, Settings())


def _gold(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"w")
    manifest.seal(folder, "model", {"stage": "gold", "method": "none"})
    return folder


def test_a_folder_and_an_address_give_the_same_model(place: Workspace) -> None:
    folder = _gold(place.root / "out" / "gold")
    with place.artifacts.create("model", KEY, {"stage": "gold", "method": "none"}) as building:
        (building / "weights.safetensors").write_bytes(b"w")
    by_folder, by_uri = model_ref(place, "out/gold", "gold"), model_ref(place, f"model/{KEY}", "gold")
    assert (by_folder.uri, by_uri.uri) == ("file:out/gold", f"model/{KEY}")
    assert by_folder.weights == by_uri.weights == manifest.read(folder)["files"]["weights.safetensors"]
    assert by_folder.digest == by_uri.digest == manifest.digest(folder)
    assert model_ref(place, "file:out/gold", "gold") == by_folder
    assert identity(place, "out/gold", "model")["method"] == "none"


def test_a_folder_outside_the_workspace_is_absolute(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    place = Workspace(tmp_path / "w", Settings())
    folder = _gold(tmp_path / "elsewhere")
    assert model_ref(place, str(folder), "gold").uri == f"file:{folder}"


def test_a_forget_set_tells_its_data(place: Workspace) -> None:
    (place.root / "f").mkdir()
    manifest.seal(place.root / "f", "forget", {"stage": "forget", "data": "d.dir"})
    assert forget_ref(place, "f").data_digest == "d.dir"


def test_wrong_role_kind_and_nothing_at_all_are_refused(place: Workspace) -> None:
    _gold(place.root / "gold")
    with pytest.raises(ConfigError, match="role `gold`, not `original`"):
        model_ref(place, "gold", "original")
    with pytest.raises(ConfigError, match="kind `model`, not `twin`"):
        twin_ref(place, "gold")
    with pytest.raises(ConfigError, match="no sound artifact `model/"):
        model_ref(place, f"model/{KEY}", "gold")
    with pytest.raises(ConfigError, match="no sound artifact `nowhere`"):
        model_ref(place, "nowhere", "gold")


@pytest.mark.parametrize("folder", [".", "data", "notes", "a-file"])
def test_out_never_replaces_what_is_no_output(place: Workspace, folder: str) -> None:
    (place.root / "notes").mkdir()
    (place.root / "notes" / "mine.txt").write_text("dear")
    (place.root / "a-file").write_text("dear")
    with pytest.raises(ConfigError, match="would replace"):
        out_of(place, folder)


def test_out_may_be_new_empty_or_an_earlier_output(place: Workspace) -> None:
    _gold(place.root / "gold")
    (place.root / "empty").mkdir()
    assert [out_of(place, name) for name in ("gold", "empty", "deep/new", None)] == ["gold", "empty", "deep/new", None]


def test_paths_are_relative_to_where_the_user_is(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (place.root / "sub").mkdir()
    monkeypatch.chdir(place.root / "sub")
    assert inside(place, "x") == "sub/x"


def test_a_flow_is_found_by_name_and_a_missing_one_refused() -> None:
    from flows.commands import delete

    assert flow.load("delete") is delete
    with pytest.raises(ConfigError, match="`nope` is not installed"):
        flow.load("nope")


@pytest.mark.parametrize(
    "verb", [("train", "original"), ("data", "show"), ("delete", "--subject", "anna", "--dry-run")]
)
def test_every_verb_says_the_same_of_a_workspace_without_data(tmp_path: Path, verb: tuple[str, ...]) -> None:
    good(tmp_path, "init", tmp_path)
    cause = f"error: There is no record store at {tmp_path}/data."
    assert bad(tmp_path, *verb, code=4) == f"{cause} Run `tmu data import READER` first, or name its folder.\n"
