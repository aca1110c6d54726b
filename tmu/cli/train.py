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
    from tmu.steps.train_model import train_original

    with output.progress("train original") as report:
        ref = train_original(workspace, source, params, progress=report, out=target)
    value = ref.model_dump() | _numbers(workspace, source, ref)
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
    value = ref.model_dump() | _numbers(workspace, source, ref, without)
    output.emit(value, lambda: [output.facts(value)])


def _numbers(
    workspace: "Workspace", data: "DataRef", ref: "ModelRef", without: "ForgetRef | None" = None
) -> dict[str, Any]:
    """Loss of the last epoch, accuracy on the records trained on and on the test split, seconds of the training."""
    from tmu.steps.loading import run_record
    from tmu.steps.measure_accuracy import measure_accuracy

    record = run_record(workspace, ref)
    last = record["history"][-1]
    known = measure_accuracy(workspace, data, ref, "train", without)
    unseen = measure_accuracy(workspace, data, ref)
    if unseen is not None and unseen.right <= unseen.largest_class:
        output.note(
            f"The model is right on {unseen.right:.1f} % of the test records; answering the most frequent class every "
            f"time is right on {unseen.largest_class:.1f} %. Raise `train.epochs` in params.yaml: with few records an "
            "epoch has few steps."
        )
    return {
        "loss_train": round(last["loss"], 4),
        "accuracy_train_pct": None if known is None else round(known.right, 2),
        "accuracy_test_pct": None if unseen is None else round(unseen.right, 2),
        "seconds_train": round(record["seconds_train"], 3),
    }
