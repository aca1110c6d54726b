"""What must not happen to a workspace, whatever is typed: the erased coming back, requests lost or stuck."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from tests.integration.conftest import LAYOUT, make_workspace
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import ConfigError, DataError, RequestError, StorageError
from tmu.refs import DataRef
from tmu.settings import load_settings
from tmu.steps.acknowledge import acknowledge, written_down
from tmu.steps.erase_data import erase_data
from tmu.steps.import_data import import_data
from tmu.steps.loading import data_ref, forget_keys, open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.preflight import check_parameters
from tmu.steps.request_file import read_request
from tmu.steps.resume import withdraw
from tmu.stores.lock import locked
from tmu.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "w")


def asked(workspace: Workspace, name: str = "contributor-005") -> tuple[str, Deletion]:
    """An acknowledged request: (subject key, deletion)."""
    key = workspace.keys(simulated=True).subject(name)
    named = Asked.of([key], [])
    return key, acknowledge(workspace, plan_deletion(workspace, named), named)


def erased(workspace: Workspace) -> str:
    key, deletion = asked(workspace)
    erase_data(workspace, data_ref(workspace), deletion.forget)
    Journal(workspace).advance(deletion, Stage.COMPLETED)
    return key


def test_the_erased_stay_erased_when_the_data_folder_was_lost(workspace: Workspace) -> None:
    key = erased(workspace)
    shutil.rmtree(workspace.data)
    with pytest.raises(DataError, match="already contains a record store"):
        import_data(workspace, "digits", {}, **LAYOUT)  # brought back from DVC's cache first
    _, imported = import_data(workspace, "digits", {}, replace=True, **LAYOUT)
    assert imported.skipped_erased > 0
    index = open_store(workspace, data_ref(workspace)).index()
    assert index.is_erased_subject(key)
    assert not len(index.find_subject(key))


def test_an_import_whose_copy_failed_says_so_and_is_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    Workspace.create(folder)
    (folder / "remote").write_text("a file where a folder should be")
    (folder / "tmu.toml").write_text(f'dvc_remote = "{folder / "remote"}"\n')
    Workspace.open(folder).versions.init()
    with pytest.raises(StorageError, match="imported, but no copy") as refused:
        import_data(Workspace.open(folder), "digits", {}, **LAYOUT)
    assert "--replace" in refused.value.hint
    (folder / "remote").unlink()
    data, _ = import_data(Workspace.open(folder), "digits", {}, replace=True, **LAYOUT)
    assert (folder / "remote/files/md5" / data.digest[:2] / data.digest[2:]).is_file()


def test_without_the_named_revision_nothing_else_is_imported(workspace: Workspace) -> None:
    erased(workspace)
    shutil.rmtree(workspace.data)
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    shutil.rmtree(workspace.state("revisions"))
    before = (workspace.root / "data.dvc").read_bytes()
    with pytest.raises(DataError, match="names another revision"):
        import_data(workspace, "digits", {}, **LAYOUT)
    assert not workspace.data.exists()
    assert (workspace.root / "data.dvc").read_bytes() == before


def test_a_fresh_clone_may_import_the_very_revision_it_names(workspace: Workspace) -> None:
    digest = data_ref(workspace).digest
    shutil.rmtree(workspace.data)
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    ref, _ = import_data(workspace, "digits", {}, **LAYOUT)
    assert ref.digest == digest


def test_while_a_request_is_open_no_other_begins_and_no_data_are_replaced(workspace: Workspace) -> None:
    _, deletion = asked(workspace)
    with pytest.raises(RequestError, match=f"{deletion.id} is not finished"):
        Journal(workspace).refuse_a_second()
    with pytest.raises(RequestError, match="is not finished"):
        import_data(workspace, "digits", {}, replace=True, holdout=0.3)
    withdraw(workspace, deletion.id)
    Journal(workspace).refuse_a_second()
    assert asked(workspace)[1].stage is Stage.ACKNOWLEDGED  # the same people may ask again


def test_what_was_erased_cannot_be_withdrawn(workspace: Workspace) -> None:
    _, deletion = asked(workspace)
    Journal(workspace).advance(deletion, Stage.ERASED)
    with pytest.raises(RequestError, match="point of no return"):
        withdraw(workspace, deletion.id)


def test_two_requests_at_once_wait_for_each_other(workspace: Workspace) -> None:
    key = workspace.keys(simulated=True).subject("contributor-005")
    first, refused = plan_deletion(workspace, Asked.of([key], [])), []

    def second() -> None:
        try:
            asked(workspace, "contributor-006")
        except RequestError as error:
            refused.append(error)

    with locked(workspace.state("request.lock")):
        other = threading.Thread(target=second)
        other.start()
        other.join(timeout=5)
        assert other.is_alive()  # it waits for the one that is being written down
        written_down(workspace, first, Asked.of([key], []))
    other.join(timeout=60)
    assert len(refused) == 1
    assert len(Journal(workspace).all()) == 1


@pytest.mark.parametrize("name", ["../../../x", "0" * 15, "zzzzzzzzzzzzzzzz"])
def test_only_an_id_names_a_request(workspace: Workspace, name: str) -> None:
    with pytest.raises(RequestError, match="no request"):
        Journal(workspace).find(name)


def test_a_damaged_journal_is_said_to_be_so(workspace: Workspace) -> None:
    _, deletion = asked(workspace)
    workspace.state("requests", f"{deletion.id}.json").write_text('{"id": 1')
    with pytest.raises(StorageError, match="damaged"):
        Journal(workspace).all()


@pytest.mark.parametrize(
    "text", ['{"subjects": "127"}', '{"records": {"a": 1}}', '{"subjects": [1]}', '{"people": []}']
)
def test_a_request_file_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="neither lines of subjects"):
        read_request(text)


def test_a_bad_parameter_is_found_before_anything_is_erased(workspace: Workspace) -> None:
    store = open_store(workspace, data_ref(workspace))
    bad = workspace.params.model_copy(
        update={"twin": workspace.params.twin.model_copy(update={"features": ("distance", "nope")})}
    )
    with pytest.raises(ConfigError, match="no feature `nope`"):
        check_parameters(store, bad, None)
    check_parameters(store, workspace.params, None)


@pytest.mark.parametrize("name", ["../x", "a'b", "a b"])
def test_a_dataset_name_that_cannot_name_a_model_is_refused(tmp_path: Path, name: str) -> None:
    workspace = Workspace.create(tmp_path / "w")
    with pytest.raises(ConfigError, match="dataset name"):
        import_data(workspace, "digits", {}, dataset=name)
    assert not workspace.data.exists()


def test_an_unknown_setting_in_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMU_KEYFILE", "x")
    with pytest.raises(ConfigError, match="TMU_KEYFILE"):
        load_settings(tmp_path)
    monkeypatch.delenv("TMU_KEYFILE")
    (tmp_path / "tmu.toml").write_text("threads = ")
    with pytest.raises(ConfigError, match="not TOML"):
        load_settings(tmp_path)


def test_another_recipe_than_the_models_own_is_refused(workspace: Workspace) -> None:
    from tmu.steps.register_model import champion_of, dataset_name, register_model
    from tmu.steps.train_model import train_original

    data: DataRef = data_ref(workspace)
    version = register_model(workspace, data, train_original(workspace, data, workspace.params), workspace.params)
    workspace.registry.set_alias(dataset_name(workspace, data), "champion", version)
    assert champion_of(workspace, data, params=workspace.params) is not None
    longer = workspace.params.model_copy(update={"train": workspace.params.train.model_copy(update={"epochs": 9})})
    for other in (longer, workspace.params.model_copy(update={"seed": 5})):
        with pytest.raises(ConfigError, match=r"params\.yaml is not what the model"):
            champion_of(workspace, data, params=other)


def test_the_journal_holds_keys_only(workspace: Workspace) -> None:
    key, deletion = asked(workspace)
    text = workspace.state("requests", f"{deletion.id}.json").read_text()
    assert key in text
    assert "contributor" not in text
    records = forget_keys(workspace, deletion.forget)
    assert json.loads(text)["plan"]["n_records"] == deletion.plan.n_records == len(records)
    assert not any(record in text for record in records)
    assert Journal(workspace).find(deletion.id) == deletion
