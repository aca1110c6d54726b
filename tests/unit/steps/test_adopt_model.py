"""An adopted model: taken over as it is, known for what it is, in the plan and behind what is unlearned from it."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.integration.conftest import make_workspace
from tmu.config import Params, TrainConfig
from tmu.deletion.plan import RETRAIN, Asked
from tmu.errors import ConfigError, ModelError, RequestError
from tmu.export.kept import KIND, RECORD, Export
from tmu.files import sha256_file, write_json
from tmu.models.registry import build
from tmu.refs import ModelRef
from tmu.steps import adopt_model as step
from tmu.steps.adopt_model import Adoption, adopt_model, refuse_other_records
from tmu.steps.adopted import ELSEWHERE, POSSIBLE, STATED, UNKNOWN, adoption_of, own_weights, said_of
from tmu.steps.cut_over import CutOver
from tmu.steps.history import History
from tmu.steps.loading import data_ref, load_model, open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.starts import start_of
from tmu.workspace import Workspace

OPTIONS = {"width": 4}
ORDER = ("9", "8", "7", "6", "5", "4", "3", "2", "1", "0")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    folder = tmp_path_factory.mktemp("adopt")
    torch.manual_seed(3)
    save_file(build("small_resnet", (1, 8, 8), 10, OPTIONS).state_dict(), folder / "theirs.safetensors")
    return make_workspace(folder / "w", model={"options": OPTIONS}), folder / "theirs.safetensors"


def adopted(place: tuple[Workspace, Path], **facts: object) -> ModelRef:
    workspace, weights = place
    return adopt_model(workspace, data_ref(workspace), workspace.params, Adoption(weights=weights, **facts))


def test_it_is_taken_over_tensor_by_tensor_with_its_outputs_in_the_datasets_order(place):
    workspace = place[0]
    torch.manual_seed(3)
    theirs = build("small_resnet", (1, 8, 8), 10, OPTIONS).eval()
    copy = place[1].with_name("copy.safetensors")
    save_file(theirs.state_dict(), copy, {"made": "for a test"})  # other bytes, the same network
    both = (adopted(place), adopted((workspace, copy), classes=ORDER))
    as_it_is, turned = (load_model(workspace, each)[0] for each in both)
    x = torch.rand(3, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(as_it_is(x), theirs(x))
        assert torch.allclose(turned(x), theirs(x).flip(1), atol=1e-6)
    assert adopted(place) == adopted(place)
    assert History(workspace, workspace.params).seconds_per_visit() is None  # it tells nothing of a training here


def test_the_plan_says_what_is_possible(place, tmp_path):
    workspace = place[0]
    asked = Asked.of([workspace.keys(simulated=True).subject("contributor-003")], [])
    assert ELSEWHERE not in plan_deletion(workspace, asked).stays
    served = workspace.root / ".tmu" / "versions" / "serving-digits.json"
    served.parent.mkdir(exist_ok=True)
    torch.manual_seed(4)
    save_file(build("small_resnet", (1, 8, 8), 10, OPTIONS).state_dict(), tmp_path / "other.safetensors")
    for model, said in (
        (adopted(place), STATED),
        (adopted((workspace, tmp_path / "other.safetensors"), recipe="unknown"), UNKNOWN),
    ):
        write_json(served, CutOver(version=1, weights=model.weights).model_dump(mode="json"))
        plan = plan_deletion(workspace, asked)
        assert {POSSIBLE, said} <= {*plan.choice.notes} and ELSEWHERE in plan.stays
    served.unlink()


def test_what_was_adopted_or_trained_here_before_does_not_come_back(place):
    workspace, weights = place
    adopted(place)
    other = "0" * 32 + ".dir"  # the data after an erasure
    moved = {"data": data_ref(workspace).model_copy(update={"digest": other})}
    for facts, where in (({"recipe": "unknown"}, {}), ({"classes": ORDER}, {}), ({}, moved)):
        given = {"data": data_ref(workspace), "params": workspace.params, **where}
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(RequestError, match="adopted in this workspace before"),
        ):
            patch.setattr(step, "open_store", lambda *_: open_store(workspace, data_ref(workspace)))
            adopt_model(workspace, adoption=Adoption(weights=weights, **facts), **given)


def test_what_is_unlearned_from_it_is_known_too_and_what_is_retrained_is_not(place):
    workspace, model = place[0], adopted(place)
    weights = iter(f"{number:064x}" for number in range(9))
    last = model.weights

    def made(**identity: object) -> str:
        number = next(weights)
        with workspace.artifacts.create("model", number, {"stage": "unlearned", **identity}, {}) as folder:
            (folder / "weights.safetensors").write_text(number)
        return next(iter(own_weights(workspace) - known))

    for method in ("tmu-soft", "finetune"):
        known = own_weights(workspace)
        last = made(method=method, original=last)
        assert said_of(adoption_of(workspace, last)) == (POSSIBLE, STATED)
    known = own_weights(workspace)
    assert adoption_of(workspace, made(method=RETRAIN, original=last)) is None
    assert adoption_of(workspace, "f" * 64) is None and said_of(None) == ()


def test_what_does_not_fit_is_refused(place, tmp_path):
    workspace = place[0]
    new, store = tmp_path / "new.safetensors", open_store(workspace, data_ref(workspace))
    save_file(build("small_resnet", (1, 8, 8), 10, OPTIONS).state_dict(), new)
    keys = [workspace.keys(simulated=True).subject(name) for name in ("contributor-003", "nobody")]
    with pytest.raises(RequestError, match=r"1 unknown here, \d+ in hold-out or test, \d+ of the training set"):
        refuse_other_records(store, keys, [])
    index = store.index()
    train = [key for key, split in zip(index.keys_at(slice(None)), index.splits, strict=True) if split == 0]
    refuse_other_records(store, [], train)
    with pytest.raises(ConfigError, match="1 of them are unknown here, and 1 of the dataset's"):
        adopted((workspace, new), classes=("ten", *ORDER[1:]))
    with pytest.raises(ConfigError, match="There is no file"):
        adopt_model(workspace, data_ref(workspace), Params(), Adoption(weights=tmp_path / "gone"))
    wide = workspace.params.model_copy(
        update={"model": workspace.params.model.model_copy(update={"options": {"width": 8}})}
    )
    with pytest.raises(ModelError, match=r"`1\.0\.weight` has the shape \[4, 1, 3, 3\], not \[8, 1, 3, 3\]"):
        adopt_model(workspace, data_ref(workspace), wide, Adoption(weights=new))
    solved = workspace.params.model_copy(update={"train": TrainConfig(head="ridge")})
    with pytest.raises(ConfigError, match="ridge head cannot be adopted"):
        adopt_model(workspace, data_ref(workspace), solved, Adoption(weights=new))


def test_an_export_of_a_model_of_this_workspace_does_not_come_back(place, tmp_path):
    workspace = place[0]
    file = tmp_path / "model.safetensors"
    torch.manual_seed(5)
    save_file(build("small_resnet", (1, 8, 8), 10, OPTIONS).state_dict(), file, {"format": "pt"})
    facts = {"dataset": "digits", "version": 1, "weights": "0" * 64, "forms": ("safetensors",), "at": "2026-01-01"}
    export = Export(id="e" * 16, files={"model.safetensors": sha256_file(file)}, **facts)
    with workspace.artifacts.create(KIND, export.id, {"stage": KIND}, {}) as folder:
        write_json(folder / RECORD, export.model_dump(mode="json"))
    with pytest.raises(RequestError, match="in this workspace before"):
        adopted((workspace, file))
    shutil.copyfile(file, workspace.root / "exported.safetensors")
    start = workspace.params.model.model_copy(update={"init": "exported.safetensors"})
    with pytest.raises(ModelError, match="trained or adopted in this workspace"):
        start_of(workspace, workspace.pinned(workspace.params.model_copy(update={"model": start})))


def test_a_start_that_was_adopted_since_is_none_any_more(place, tmp_path):
    workspace, file = place[0], place[0].root / "both.safetensors"
    torch.manual_seed(6)
    save_file(build("small_resnet", (1, 8, 8), 10, OPTIONS).state_dict(), file)
    start = workspace.params.model.model_copy(update={"init": file.name})
    params = workspace.pinned(workspace.params.model_copy(update={"model": start}))
    assert start_of(workspace, params) is not None  # kept from here on
    adopted((workspace, file))
    with pytest.raises(ModelError, match="trained or adopted in this workspace"):
        start_of(workspace, params)
