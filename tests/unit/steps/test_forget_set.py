"""A forget set's address and digest outlive its keys: a list of keys alone must not lead to them."""

from pathlib import Path

import pytest

from tests.integration.conftest import make_workspace
from tests.unit.steps.test_starts import forget_of
from tmu import manifest
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.deletion.deletion import Deletion
from tmu.deletion.plan import Asked
from tmu.errors import DataError
from tmu.files import canonical_json, digest_of, sha256_file, write_json
from tmu.steps.acknowledge import forget_set
from tmu.steps.loading import data_ref, forget_keys
from tmu.steps.plan import plan_deletion
from tmu.steps.store_keys import digest_of_records
from tmu.steps.verify_deletion import verify_deletion
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


def test_the_right_guess_of_all_keys_does_not_confirm_a_plan_without_the_secret(workspace: Workspace) -> None:
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    plan = plan_deletion(workspace, asked)
    guess = sorted(plan.records)

    def hashed(digest: str) -> str:
        id_ = digest_of([plan.data.digest, digest])[:16]
        return plan.model_copy(update={"records_digest": digest, "id": id_}).hash

    fitting, wrong = (digest_of_records(Keys(each), guess) for each in (DEMO_SECRET, b"another" * 4))
    assert hashed(fitting) == plan.hash  # the guess is right, and whoever has the secret sees it
    assert plan.hash not in (hashed(digest_of(guess)), hashed(wrong))
    old = digest_of([plan.data.digest, guess])[:16]
    assert plan.id != old and old not in str(plan.body) and digest_of(guess) not in str(plan.body)


def test_a_plan_made_again_has_the_same_hash(workspace: Workspace) -> None:
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    assert plan_deletion(workspace, asked).hash == plan_deletion(workspace.reread(), asked).hash


@pytest.mark.parametrize("pinned", ["as planned", "without a secret", "by another secret"])
def test_the_check_of_a_deletion_knows_the_digest_of_its_plan(workspace: Workspace, pinned: str) -> None:
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    plan = plan_deletion(workspace, asked)
    digests = {
        "as planned": plan.records_digest,
        "without a secret": digest_of(sorted(plan.records)),  # as 0.1.0 wrote it
        "by another secret": digest_of_records(Keys(b"another" * 4), plan.records),
    }
    written = plan.model_copy(update={"records_digest": digests[pinned]})
    deletion = Deletion.acknowledged(written, asked, workspace.params, forget_set(workspace, plan))
    found = "is not the one of its plan" if pinned == "by another secret" else "records are still in the data"
    with pytest.raises(DataError, match=found):
        verify_deletion(workspace, deletion)
