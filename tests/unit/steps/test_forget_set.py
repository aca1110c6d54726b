"""A forget set's address and digest outlive its keys: a list of keys alone must not lead to them."""

from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tests.unit.steps.test_starts import forget_of
from tmu import manifest
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.files import canonical_json, digest_of, sha256_file, write_json
from tmu.steps.loading import data_ref, forget_keys
from tmu.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("forget") / "w")


def test_the_right_guess_of_all_keys_leads_nowhere_without_the_secret(workspace: Workspace, tmp_path: Path) -> None:
    forget, data = forget_of(workspace), data_ref(workspace).digest
    folder = workspace.artifacts.fetch(forget.uri, forget.digest)
    said, guess = manifest.read(folder), sorted(forget_keys(workspace, forget))
    fitting, wrong = (Keys(each).forget_set(canonical_json([data, guess])) for each in (DEMO_SECRET, b"another" * 4))

    def address(records: str) -> str:
        return f"forget/{digest_of(said['identity'] | {'records': records})}"

    assert address(fitting) == forget.uri  # the guess is right, and whoever has the secret sees it
    assert forget.uri not in (address(digest_of(guess)), address(wrong))
    content = {"data": data, "records": guess}
    write_json(tmp_path / "guessed", content)
    write_json(tmp_path / "keyed", content | {"mac": fitting})
    files = said["files"].values()
    assert sha256_file(tmp_path / "guessed") not in files and sha256_file(tmp_path / "keyed") in files


def test_the_same_request_has_the_same_forget_set(workspace: Workspace) -> None:
    assert forget_of(workspace) == forget_of(workspace)


def test_a_forget_set_from_before_the_mac_is_read(workspace: Workspace) -> None:
    records = sorted(forget_keys(workspace, forget_of(workspace)))
    with workspace.artifacts.create("forget", "old", {"stage": "forget", "records": digest_of(records)}) as folder:
        (folder / "forget.json").write_bytes(canonical_json({"data": "d", "records": records}))
    ref = forget_of(workspace).model_copy(
        update={"uri": "forget/old", "digest": manifest.digest(workspace.artifacts.find("forget", "old"))}
    )
    assert sorted(forget_keys(workspace, ref)) == records
