"""Set models beside a gold on one forget set: accuracy, distance, cost. For the demo; it judges nothing."""

from torch import Tensor

from tmu.config import Config
from tmu.deletion.plan import RETRAIN
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps.loading import examples, forget_keys, load_model, open_store, run_record
from tmu.train import Examples, logits_of
from tmu.workspace import Workspace


class BesideGold(Config):
    """One model. accuracies: per cent, of the test records that stay and of the forgotten training records.

    distance: mean L2 distance (0..√2) of its probabilities to the gold's on the forgotten ones. seconds_step: of the
    training alone; seconds_whole: with reading data and models and writing the result.
    """

    name: str
    accuracy_test: float
    accuracy_forgotten: float
    distance: float
    seconds_step: float
    seconds_whole: float


def beside_gold(
    workspace: Workspace, data: DataRef, forget: ForgetRef, models: dict[str, ModelRef], gold: ModelRef
) -> list[BesideGold]:
    """The models by name, in their order. data: the revision that still has the records."""
    store, keys = open_store(workspace, data), forget_keys(workspace, forget)
    test, gone = examples(store, "test", without=keys), examples(store, "train", only=keys)
    aim = _answers(workspace, gold, gone)
    rows = []
    for name, model in models.items():
        answers, run = _answers(workspace, model, gone), run_record(workspace, model)
        rows.append(
            BesideGold(
                name=name,
                accuracy_test=_right(_answers(workspace, model, test), test),
                accuracy_forgotten=_right(answers, gone),
                distance=float((answers - aim).norm(dim=1).mean()),
                seconds_step=run["seconds_train"],
                seconds_whole=run["seconds_total"],
            )
        )
    return rows


def unlearned_for(workspace: Workspace, forget: ForgetRef) -> dict[str, ModelRef]:
    """What approximate methods made for a forget set, by method: also a model that its audit refused."""
    found = {}
    for held in workspace.artifacts.manifests("model"):
        identity = held.manifest["identity"]
        if (identity["stage"], identity.get("forget")) == ("unlearned", forget.digest):
            weights = held.manifest["files"]["weights.safetensors"]
            found[identity["method"]] = ModelRef(uri=held.uri, digest=held.digest, weights=weights, role="unlearned")
    found.pop(RETRAIN, None)
    return found


def _answers(workspace: Workspace, model: ModelRef, part: Examples) -> Tensor:
    return logits_of(load_model(workspace, model)[0], part.images).softmax(1)


def _right(answers: Tensor, part: Examples) -> float:
    return 100 * float((answers.argmax(1) == part.labels).double().mean())
