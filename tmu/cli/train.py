"""`tmu train …`: originals and golds."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.overrides import Set, chosen
from tmu.cli.references import forget_ref
from tmu.cli.workspace import Data, Out, data_of, open_workspace, out_of

if TYPE_CHECKING:
    from tmu.refs import DataRef, ForgetRef, ModelRef
    from tmu.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Train an original, or a gold without the forget set.")


@app.command()
def original(
    register: Annotated[
        bool, typer.Option("--register", help="Register it in MLflow and put it into service.")
    ] = False,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Train the original on all training records.

    Examples: [bold]tmu train original --register[/] · [bold]tmu train original --set train.epochs=3 --out
    out/original[/]
    """
    workspace = open_workspace()
    params, target, source = chosen(workspace, sets), out_of(workspace, out), data_of(workspace, data)
    from tmu.steps.loading import open_store
    from tmu.steps.recipe_warnings import recipe_warnings
    from tmu.steps.train_model import train_original

    for warning in recipe_warnings(params, len(open_store(workspace, source).positions("holdout"))):
        output.note(f"Warning: {warning}")
    with output.progress("train original") as report:
        ref = train_original(workspace, source, params, progress=report, out=target)
    value = ref.model_dump() | _numbers(workspace, source, ref, ridge=params.ridge_head)
    if register:
        from tmu.steps.register_original import register_original

        value["version"] = register_original(workspace, source, ref, params)
    output.emit(value, lambda: [output.facts(value)])


@app.command()
def gold(
    forget: Annotated[str, typer.Option(metavar="REF", help="The forget set, which is left out of the training.")],
    run: Annotated[int, typer.Option(min=0, help="0 shares the original's seeds; other numbers are independent.")] = 0,
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Train a gold: the same recipe without the forget set.

    Example: [bold]tmu train gold --forget out/forget --run 1 --out out/gold-2[/]
    """
    workspace = open_workspace()
    params, target, source = chosen(workspace, sets), out_of(workspace, out), data_of(workspace, data)
    from tmu.steps.train_model import train_gold

    without = forget_ref(workspace, forget)
    with output.progress("train gold") as report:
        ref = train_gold(workspace, source, without, params, run=run, progress=report, out=target)
    value = ref.model_dump() | _numbers(workspace, source, ref, without, params.ridge_head)
    output.emit(value, lambda: [output.facts(value)])


def _numbers(
    workspace: "Workspace", data: "DataRef", ref: "ModelRef", without: "ForgetRef | None" = None, ridge: bool = False
) -> dict[str, Any]:
    """Loss of the epoch that was kept, accuracies on the training, hold-out and test split, seconds of the training."""
    from tmu.steps.loading import run_record
    from tmu.steps.measure_accuracy import measure_accuracy

    record = run_record(workspace, ref)
    last = record["history"][(record.get("best_epoch") or 0) - 1]
    known = measure_accuracy(workspace, data, ref, "train", without)
    unseen = measure_accuracy(workspace, data, ref)
    if unseen is not None and unseen.right <= unseen.largest_class:
        output.note(
            f"The model is right on {unseen.right:.1f} % of the test records; answering the most frequent class every "
            f"time is right on {unseen.largest_class:.1f} %. {_mend(record, ridge)}"
        )
    return {
        "loss_train": round(last["loss"], 4),
        "accuracy_train_pct": None if known is None else round(known.right, 2),
        "accuracy_test_pct": None if unseen is None else round(unseen.right, 2),
        **_of_holdout(record, last),
        "seconds_train": round(record["seconds_train"], 3),
    }


def _mend(record: dict[str, Any], ridge: bool) -> str:
    """What helps a training that learned too little."""
    if ridge:
        return "With a ridge head the start decides: choose another `model.init`, or another `train.ridge`."
    if record.get("best_epoch"):
        return f"Early stopping kept epoch {record['best_epoch']}: set `train.early_stop` to null in params.yaml."
    return "Raise `train.epochs` in params.yaml: with few records an epoch has few steps."


def _of_holdout(record: dict[str, Any], last: dict[str, float]) -> dict[str, Any]:
    """Where the training was looked at with hold-out records: the accuracy of what was kept, and of which epoch."""
    held = last.get("accuracy_holdout_pct")
    numbers = {} if held is None else {"accuracy_holdout_pct": round(held, 2)}
    return numbers | ({"best_epoch": record["best_epoch"]} if record.get("best_epoch") else {})
