"""A model in MLflow is changed outside of the flows: verify names it, promotion and loading refuse, nothing is run."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml

from tests.integration.conftest import QUICK, make_workspace
from tmu.errors import DataError, ModelError, TmuError
from tmu.ledger.place import open_ledger
from tmu.steps.loading import data_ref, load_model
from tmu.steps.promote_model import Service, promote_model
from tmu.steps.register_model import model_of, register_model
from tmu.steps.train_model import train_original
from tmu.steps.verify_all import verify_all
from tmu.workspace import Workspace

pytestmark = pytest.mark.slow
EVIL = "from pathlib import Path\nPath({mark!r}).write_text('run')\n"


@pytest.fixture(scope="module", params=[True, False], ids=["ledger", "journal"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two registered models, the first of which serves; with and without a ledger."""
    workspace = make_workspace(tmp_path_factory.mktemp("made") / "w", train=QUICK["train"] | {"epochs": 1})
    if request.param:
        open_ledger(workspace).close()
    for seed in (1, 0):
        params = workspace.params.model_copy(update={"seed": seed})
        data = data_ref(workspace)
        version = register_model(workspace, data, train_original(workspace, data, params), params)
    promote_model(workspace, data, version.version)
    return workspace.root


@contextmanager
def copied(root: Path, to: Path) -> Iterator[Workspace]:
    """A copy of a workspace, whose MLflow is this process's."""
    workspace = Workspace.open(shutil.copytree(root, to))
    mlflow.set_tracking_uri(workspace.registry.uri)
    yield workspace
    mlflow.set_tracking_uri(None)


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy, to be broken."""
    with copied(made, tmp_path / "w") as workspace:
        yield workspace


def stored(workspace: Workspace, alias: str = "champion") -> Path:
    """The folder of a version's files in MLflow's artifact store."""
    version = workspace.registry.get_alias("digits", alias)
    return workspace.state("mlartifacts", "tmu-digits", "models", version.model_id, "artifacts")


def rewritten(folder: Path, **changes: object) -> None:
    """`MLmodel` with other values in the flavour that MLflow loads; None takes a value out."""
    described = yaml.safe_load((folder / "MLmodel").read_text())
    flavor = described["flavors"]["python_function"] | changes
    described["flavors"]["python_function"] = {name: value for name, value in flavor.items() if value is not None}
    (folder / "MLmodel").write_text(yaml.safe_dump(described))


def weights_changed(folder: Path, mark: Path) -> str:
    (weights,) = folder.rglob("weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    return "weights.safetensors"


def code_added(folder: Path, mark: Path) -> str:
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").write_text(EVIL.format(mark=str(mark)))
    return "code/evil.py"


def loader_swapped(folder: Path, mark: Path) -> str:
    """What would run by itself: a module of the store, put on the path and imported by MLflow."""
    code_added(folder, mark)
    rewritten(folder, loader_module="evil", code="code")
    return "MLmodel"


def code_put_back(folder: Path, mark: Path) -> str:
    """Models from code, as MLflow runs them."""
    (folder / "evil.py").write_text(EVIL.format(mark=str(mark)))
    rewritten(folder, loader_module="mlflow.pyfunc.loaders.code_model", model_code_path="evil.py", data=None)
    return "MLmodel"


def pickled(folder: Path, mark: Path) -> str:
    rewritten(folder, loader_module="mlflow.pyfunc.model", python_model="python_model.pkl")
    (folder / "python_model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    return "MLmodel"


def removed(folder: Path, mark: Path) -> str:
    (folder / "requirements.txt").unlink()
    return "requirements.txt"


ATTACKS = [weights_changed, code_added, loader_swapped, code_put_back, pickled, removed]
Attack = Callable[[Path, Path], str]


@pytest.mark.parametrize("attack", ATTACKS)
def test_verify_names_the_file_that_was_changed(workspace: Workspace, attack: Attack, tmp_path: Path) -> None:
    assert verify_all(workspace).broken == []
    name = attack(stored(workspace), tmp_path / "mark")
    verified = verify_all(Workspace.open(workspace.root))
    assert verified.broken == ["models"]
    found = verified.checks[-1].found
    assert name in found or "evil" in found or "python_model.pkl" in found
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_promotion_refuses_before_the_alias_moves(workspace: Workspace, attack: Attack, tmp_path: Path) -> None:
    registry = workspace.registry
    other = next(version for version in registry.versions("digits") if version.version == 1)
    attack(workspace.state("mlartifacts", "tmu-digits", "models", other.model_id, "artifacts"), tmp_path / "mark")
    with pytest.raises(ModelError, match="stored files of tmu-digits, version 1,"):
        promote_model(workspace, data_ref(workspace), 1)
    assert registry.get_alias("digits", "champion").version == 2
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("attack", ATTACKS)
def test_our_loader_refuses_before_anything_is_run(workspace: Workspace, attack: Attack, tmp_path: Path) -> None:
    from tmu import serving

    attack(stored(workspace), tmp_path / "mark")
    with pytest.raises(ModelError, match="stored files of tmu-digits, version 2,"):
        serving.load_model("models:/tmu-digits@champion", home=workspace.root)
    with pytest.raises(ModelError, match="stored files of tmu-digits, version 2,"):
        serving.load_model("models:/tmu-digits@champion")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("attack", [loader_swapped, code_put_back])
def test_the_attacks_are_real(workspace: Workspace, attack: Attack, tmp_path: Path) -> None:
    """MLflow's own loader believes `MLmodel`: what the tests above refuse would have run."""
    import sys

    attack(stored(workspace), tmp_path / "mark")
    path = list(sys.path)
    try:
        with pytest.raises(Exception):  # noqa: B017 - after the import, it finds no model in it
            mlflow.pyfunc.load_model("models:/tmu-digits@champion")
    finally:
        sys.path[:] = path
        sys.modules.pop("evil", None)
    assert (tmp_path / "mark").exists()


def _tags_follow(workspace: Workspace) -> None:
    """The attacker writes MLflow's database as well: the tags name the changed files."""
    import json

    from tmu.files import digest_of
    from tmu.stores.mlflow_versions import listing

    version = workspace.registry.get_alias("digits", "champion")
    files = listing(stored(workspace))
    client = mlflow.MlflowClient(workspace.registry.uri, workspace.registry.uri)
    for name, value in (("files", json.dumps(files)), ("files_sha256", digest_of(files))):
        client.set_model_version_tag(version.name, str(version.version), name, value)
    weights = files["data/bundle/weights.safetensors"]
    client.set_model_version_tag(version.name, str(version.version), "weights_sha256", weights)


def test_tags_that_follow_the_change_do_not_agree_with_the_record(workspace: Workspace) -> None:
    from tmu import serving

    weights_changed(stored(workspace), Path())
    _tags_follow(workspace)
    assert verify_all(workspace).broken == ["models"]
    with pytest.raises(DataError, match="on record with other files"):
        promote_model(workspace, data_ref(workspace), 2)
    with pytest.raises(DataError, match=r"on record with other files|but the record says version 2 with other"):
        serving.load_model("models:/tmu-digits@champion", home=workspace.root)


def test_code_is_refused_even_where_the_digests_agree(workspace: Workspace, tmp_path: Path) -> None:
    from tmu import serving

    rewritten(stored(workspace), loader_module="mlflow.pyfunc.loaders.code_model")
    _tags_follow(workspace)
    with pytest.raises(ModelError, match="`loader_module` in MLmodel"):
        serving.load_model("models:/tmu-digits@champion")


def test_a_digest_from_elsewhere_is_compared(workspace: Workspace) -> None:
    from tmu import serving

    champion = workspace.registry.get_alias("digits", "champion")
    model = serving.load_model("models:/tmu-digits@champion", digest=champion.files_sha256)
    assert model.classes == tuple("0123456789")
    with pytest.raises(TmuError, match="not the one that was registered"):
        serving.load_model("models:/tmu-digits@champion", digest="0" * 64)


def test_all_ways_to_load_give_the_same_answers(workspace: Workspace) -> None:
    import torch

    from tmu import serving

    images = np.random.default_rng(0).random((5, 1, 8, 8), dtype=np.float32)
    model, _ = load_model(workspace, model_of(workspace.registry.get_alias("digits", "champion")))
    with torch.inference_mode():
        expected = model(torch.from_numpy(images)).softmax(1).numpy()
    uri = "models:/tmu-digits@champion"
    for loaded in (
        serving.load_model(uri),
        serving.load_model(uri, home=workspace.root),
        mlflow.pyfunc.load_model(uri),
    ):
        assert np.array_equal(loaded.predict(images), expected)
    assert verify_all(workspace).broken == []  # MLflow's own note in the store is no foreign file


def test_a_version_with_code_in_the_store_says_to_register_again(workspace: Workspace) -> None:
    from tmu import serving

    champion = workspace.registry.get_alias("digits", "champion")
    client = mlflow.MlflowClient(workspace.registry.uri, workspace.registry.uri)
    for name in ("files", "files_sha256"):
        client.delete_model_version_tag(champion.name, str(champion.version), name)
    with pytest.raises(ModelError, match="older tmu registered it, with code in the store"):
        serving.load_model("models:/tmu-digits@champion")


def test_a_resumed_deletion_registers_a_changed_version_anew(workspace: Workspace) -> None:
    data = data_ref(workspace)
    model = model_of(workspace.registry.get_alias("digits", "champion"))
    assert register_model(workspace, data, model, workspace.params).version == 2
    weights_changed(stored(workspace), Path())
    again = register_model(workspace, data, model, workspace.params)
    promote_model(workspace, data, again.version)
    assert (again.version, workspace.registry.get_alias("digits", "champion").version) == (3, 3)


@pytest.mark.parametrize("attack", [weights_changed, code_put_back])
def test_the_doctor_loads_the_champion_and_mends_it_from_the_sound_copy(
    workspace: Workspace, attack: Attack, tmp_path: Path
) -> None:
    from tmu.cli.upkeep import service

    assert service(workspace).text == "version 2 is what was registered, loads and answers"
    attack(stored(workspace), tmp_path / "mark")
    found = service(workspace)
    assert found.state == "fail"
    assert found.repair() == "stored again, and put into service, as version 3"
    assert service(workspace).state == "ok"
    assert not (tmp_path / "mark").exists()


def test_the_doctor_does_not_fix_what_the_record_contradicts(workspace: Workspace) -> None:
    """An alias that was moved to another version must not be made right by a repair."""
    from tmu.steps.store_again import store_again

    client = mlflow.MlflowClient(workspace.registry.uri, workspace.registry.uri)
    first = next(version for version in workspace.registry.versions("digits") if version.version == 1)
    client.set_model_version_tag("tmu-digits", "2", "weights_sha256", first.weights_sha256)
    client.set_model_version_tag("tmu-digits", "2", "artifact", first.tags["artifact"])
    with pytest.raises(DataError, match="another model"):
        store_again(workspace)
    assert len(workspace.registry.versions("digits")) == 2


@pytest.fixture(scope="module")
def made_on(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a third model was put into service: version 2 is blocked."""
    workspace = Workspace.open(shutil.copytree(made, tmp_path_factory.mktemp("on") / "w"))
    data, params = data_ref(workspace), workspace.params.model_copy(update={"seed": 2})
    version = register_model(workspace, data, train_original(workspace, data, params), params)
    assert promote_model(workspace, data, version.version) == Service(version=3, blocked=(2,))
    return workspace.root


@pytest.fixture
def moved_on(made_on: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of it, to be broken."""
    with copied(made_on, tmp_path / "w") as workspace:
        yield workspace


def _rolled_back(moved_on: Workspace, *, untagged: bool) -> None:
    """MLflow's `@champion` names the blocked version 2 again; the tag that says so may be gone, too."""
    client = mlflow.MlflowClient(moved_on.registry.uri, moved_on.registry.uri)
    client.set_registered_model_alias("tmu-digits", "champion", "2")
    if untagged:
        client.delete_model_version_tag("tmu-digits", "2", "serving")


@pytest.mark.parametrize("untagged", [False, True])
def test_a_champion_that_was_rolled_back_is_refused(moved_on: Workspace, untagged: bool) -> None:
    from tmu import serving
    from tmu.cli.upkeep import service

    assert verify_all(moved_on).broken == []
    _rolled_back(moved_on, untagged=untagged)
    with pytest.raises(DataError, match="Version 2 is in service, but the record says version 3"):
        serving.load_model("models:/tmu-digits@champion", home=moved_on.root)
    found = service(moved_on)
    assert (found.state, found.repair) == ("fail", None)
    assert "blocked" in found.text
    verified = verify_all(Workspace.open(moved_on.root))
    assert verified.broken == ["models"]
    assert "blocked" in verified.checks[-1].found
    if not untagged:
        with pytest.raises(DataError, match="version 2, is blocked: it learned records that were erased"):
            serving.load_model("models:/tmu-digits@champion")


def test_a_champion_moved_to_a_version_that_never_served_is_refused(moved_on: Workspace) -> None:
    from tmu import serving
    from tmu.cli.upkeep import service

    moved_on.registry.set_alias("digits", "champion", 1)
    with pytest.raises(DataError, match="Version 1 is in service, but the record says version 3"):
        serving.load_model("models:/tmu-digits@champion", home=moved_on.root)
    assert service(moved_on).state == "fail"
    assert verify_all(moved_on).broken == ["models"]


@pytest.mark.parametrize("named", ["/2", "@blocked"])
def test_a_blocked_version_is_loaded_by_no_name(moved_on: Workspace, named: str) -> None:
    from tmu import serving

    for home in (moved_on.root, None):
        with pytest.raises(DataError, match="version 2, is blocked: it learned records that were erased"):
            serving.load_model(f"models:/tmu-digits{named}", home=home)
    with pytest.raises(DataError, match="version 2, is blocked"):
        promote_model(moved_on, data_ref(moved_on), 2)


def test_a_blocked_tag_that_was_removed_is_noticed(moved_on: Workspace) -> None:
    from tmu import serving

    client = mlflow.MlflowClient(moved_on.registry.uri, moved_on.registry.uri)
    client.delete_model_version_tag("tmu-digits", "2", "serving")
    with pytest.raises(DataError, match="version 2, is blocked on record"):
        serving.load_model("models:/tmu-digits/2", home=moved_on.root)
    with pytest.raises(DataError, match="version 2, is blocked on record"):
        promote_model(moved_on, data_ref(moved_on), 2)
    verified = verify_all(moved_on)
    assert verified.broken == ["models"]
    assert "version 2, is blocked on record" in verified.checks[-1].found


def test_a_damaged_record_of_the_cut_over_is_told(moved_on: Workspace) -> None:
    from tmu import serving

    moved_on.state("versions", "serving-digits.json").write_text("{")
    with pytest.raises(DataError, match=r"serving-digits.json is damaged"):
        serving.load_model("models:/tmu-digits@champion", home=moved_on.root)
