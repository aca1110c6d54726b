"""A model that was trained elsewhere, from weights of a file: adopted, unlearned, audited, purged, certified."""

import base64
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from flows.carry_out import carry_out
from flows.observer import Observer
from tests.cli_tools import bad, good, tmu
from tests.integration.conftest import make_workspace
from tmu.config import Seeds
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import ModelError
from tmu.manifest import read
from tmu.models.registry import build
from tmu.models.start import Start, begin
from tmu.steps.acknowledge import acknowledge
from tmu.steps.adopted import ELSEWHERE, POSSIBLE, UNKNOWN, adoption_of
from tmu.steps.loading import data_ref, examples, open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.starts import start_of
from tmu.steps.stored_certificate import stored
from tmu.train import fit
from tmu.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.drill]
SHAPE, OPTIONS = (1, 8, 8), {"width": 8}
ORDER = [str(digit) for digit in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)]  # of the outputs of the model from elsewhere
Done = tuple[Workspace, Deletion, dict, Path]


def elsewhere(workspace: Workspace, folder: Path) -> Path:
    """A file with a network that was trained on the training set without tmu's steps, its classes in `ORDER`."""
    torch.manual_seed(11)
    model = build("small_resnet", SHAPE, 10, OPTIONS)
    begin(model, Start("", load_file(workspace.root / "start.safetensors")))
    train = examples(open_store(workspace, data_ref(workspace)), "train")
    fit(model, train, workspace.params.train, Seeds.all(123))
    state = {f"module.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    order = [int(name) for name in ORDER]
    for part in ("module.8.weight", "module.8.bias"):
        state[part] = state[part][order].contiguous()
    save_file(state, folder / "theirs.safetensors")
    return folder / "theirs.safetensors"


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict, Path]:
    folder = tmp_path_factory.mktemp("adopted")
    (folder / "w").mkdir()
    torch.manual_seed(5)
    save_file(build("small_resnet", SHAPE, 4, OPTIONS).state_dict(), folder / "w" / "start.safetensors")
    model = {"options": OPTIONS, "init": "start.safetensors", "init_source": "nothing, for a test"}
    quick = {"train": {"epochs": 12}, "audit": {"golds": False, "probes": False}, "purge": {"act": True}}
    workspace = make_workspace(folder / "w", model=model, **quick)
    theirs = elsewhere(workspace, folder)
    told = good(workspace.root, "model", "adopt", theirs, "--classes", ",".join(ORDER), "--recipe-unknown")
    return workspace, told, theirs


@pytest.fixture(scope="module")
def done(adopted: tuple[Workspace, dict, Path]) -> Done:
    workspace, _, theirs = adopted
    (theirs.parent / "temporary").mkdir()
    asked = Asked.of([workspace.keys(simulated=True).subject(f"contributor-{number:03d}") for number in range(6)], [])
    plan = plan_deletion(workspace, asked, "tmu-soft")
    assert {POSSIBLE, UNKNOWN} <= {*plan.choice.notes}
    assert ELSEWHERE in plan.stays and any("nothing, for a test" in each for each in plan.stays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tmu.search.haystacks.temporary.temporary_folders", lambda _: [theirs.parent / "temporary"])
        deletion = acknowledge(workspace, plan, asked)
        outcome = carry_out(workspace, deletion, Observer(workspace))
    return workspace, Journal(workspace).find(deletion.id), outcome, theirs


def test_it_answers_as_it_did_elsewhere_with_the_datasets_classes(adopted: tuple[Workspace, dict, Path]) -> None:
    workspace, told, theirs = adopted
    assert told["accuracy_train_pct"] > 90 and told["version"] == 1
    champion = workspace.registry.get_alias("digits", "champion")
    assert champion.tags["lineage"] == "adopted, recipe unknown, records assumed"
    held = workspace.artifacts.find(*told["uri"].split("/"))
    assert read(held)["identity"]["adopted"]["sha256"] and theirs.name not in json.dumps(read(held))
    workspace = Workspace.open(workspace.root)
    shutil.copyfile(theirs, workspace.root / "start2.safetensors")
    changed = workspace.params.model_copy(
        update={"model": workspace.params.model.model_copy(update={"init": "start2.safetensors", "init_sha256": None})}
    )
    with pytest.raises(ModelError, match="trained or adopted in this workspace"):
        start_of(workspace, workspace.pinned(changed))
    (workspace.root / "start2.safetensors").unlink()


def test_the_deletion_is_audited_without_golds_and_says_what_it_rests_on(done: Done) -> None:
    workspace, deletion, outcome, _ = done
    assert outcome["verdict"]["outcome"] in ("passed", "inconclusive", "failed")
    evidence = workspace.state("evidence", deletion.id)
    audit = json.loads((evidence / "audit.json").read_bytes())
    assert POSSIBLE in audit["provenance"]["original"] and UNKNOWN in audit["provenance"]["original"]
    sha256 = deletion.params.model.init_sha256
    assert sha256 in audit["provenance"]["start"]
    card = (evidence / "model_card.md").read_text()
    assert f"| start | The model was started from weights with SHA-256 {sha256}" in card
    case = json.loads((evidence / "manifest.json").read_bytes())["case"]
    assert (case["params"]["model"]["init_sha256"], "init" in case["params"]["model"]) == (sha256, False)
    assert "start.safetensors" not in "".join(path.read_text() for path in evidence.glob("*.json"))


def test_the_adopted_model_is_destroyed_and_the_certificate_names_what_is_not_reached(done: Done) -> None:
    workspace, deletion, outcome, _ = done
    assert workspace.artifacts.find(*deletion.base.uri.split("/")) is None
    assert adoption_of(workspace, deletion.base.weights)["recipe"] == "unknown"  # by its purge note
    (issued,) = outcome["certificates"]
    assert issued.get("path"), issued
    payload = json.loads(base64.b64decode(json.loads(stored(workspace, deletion.id).read_bytes())["payload"]))
    not_proven = " ".join(payload["predicate"]["not_proven"])
    assert deletion.params.model.init_sha256 in not_proven and ELSEWHERE in not_proven
    assert not any("SHA-256" in each["exception"] for each in payload["predicate"]["grounds"])


def test_a_model_of_other_classes_or_records_is_refused(adopted: tuple[Workspace, dict, Path], tmp_path: Path) -> None:
    workspace, _, theirs = adopted
    versions = len(workspace.registry.versions("digits"))
    few = {name: tensor[:4].contiguous() if ".8." in name else tensor for name, tensor in load_file(theirs).items()}
    save_file(few, tmp_path / "few.safetensors")
    learned = tmp_path / "learned.txt"
    learned.write_text("contributor-040\n")
    for arguments, code, said in (
        ([tmp_path / "few.safetensors"], 5, "no head for the dataset's 10 classes"),
        ([theirs, "--classes", "cat,dog"], 2, "2 of them are unknown here"),
        ([theirs, "--records", learned], 3, "in hold-out or test"),
        ([tmp_path / "gone.safetensors"], 2, "There is no file"),
        ([workspace.root / "start.safetensors"], 5, "the weights that training starts from"),
    ):
        assert said in bad(workspace.root, "model", "adopt", *arguments, code=code)
    assert len(workspace.registry.versions("digits")) == versions


def test_a_file_in_the_workspace_is_named_at_once(adopted: tuple[Workspace, dict, Path], tmp_path: Path) -> None:
    _, _, theirs = adopted
    workspace = make_workspace(tmp_path / "w", model={"options": OPTIONS})
    for folder, named in ((tmp_path, False), (workspace.root, True)):
        weights = folder / "mine.safetensors"
        shutil.copy(theirs, weights)
        result = tmu(workspace.root, "model", "adopt", weights, "--classes", ",".join(ORDER))
        assert result.exit_code == 0, result.output
        assert ("no deletion gets a certificate" in result.stderr) == named
