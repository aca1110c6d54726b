"""`tmu model …`: weights that were trained elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tmu.cli import output
from tmu.cli.overrides import Set, chosen
from tmu.cli.selection import select
from tmu.cli.workspace import open_workspace

if TYPE_CHECKING:
    from tmu.refs import DataRef, ModelRef
    from tmu.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Weights that were trained elsewhere: convert, adopt.")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="STATE_DICT", help="What `torch.save(model.state_dict())` wrote.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The new file.")],
    as_json: output.Json = False,
) -> None:
    """Convert a PyTorch state dict to safetensors, for `model.init` or `tmu model adopt`.

    Convert only files that you trust: such a file is a pickle stream, which is read in restricted mode.

    Example: [bold]tmu model convert resnet18.pth weights/resnet18.safetensors[/]
    """
    from tmu.steps.convert_weights import TRUST, convert_weights

    output.note(TRUST)
    converted = convert_weights(source, target)
    value = {"file": str(target), **converted.model_dump(mode="json")}
    shown = value | {"left_out": ", ".join(value["left_out"]) or "nothing"}
    output.emit(value, lambda: [output.facts(shown), f"In params.yaml: model: {{init: {target}}}"])


@app.command()
def adopt(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS.safetensors", help="The trained model's weights.")],
    records: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What it learned: a request file; it must be the training set."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Its classes in the order of its outputs.")
    ] = None,
    recipe_unknown: Annotated[
        bool, typer.Option("--recipe-unknown", help="params.yaml does not say how it was trained.")
    ] = False,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Adopt a model that was trained elsewhere on the training set, and put it into service.

    params.yaml names its architecture (`model`) and its recipe (`train`). Deletions unlearn from it then.

    Examples: [bold]tmu model adopt ../mine.safetensors[/] · [bold]tmu model adopt ../mine.safetensors --classes
    cat,dog --records learned.json --recipe-unknown[/]
    """
    from tmu.steps.adopt_model import Adoption, adopt_model, refuse_other_records
    from tmu.steps.adopted import adoption_in_words
    from tmu.steps.loading import data_ref, open_store
    from tmu.steps.register_original import register_original

    workspace = open_workspace()
    params, data = chosen(workspace, sets), data_ref(workspace)
    if records is not None:
        store = open_store(workspace, data)
        listed = select(workspace, store.info, [], [], records)
        refuse_other_records(store, listed.subjects, listed.records)
    adoption = Adoption(
        weights=weights,
        classes=tuple(classes.split(",")) if classes else (),
        recipe="unknown" if recipe_unknown else "stated",
        records="assumed" if records is None else "listed",
    )
    model = adopt_model(workspace, data, params, adoption)
    value = model.model_dump() | _accuracies(workspace, data, model)
    value["version"] = register_original(workspace, data, model, params)
    if weights.resolve().is_relative_to(workspace.root.resolve()):
        output.note(
            f"{weights} lies in the workspace and learned the records: move it out, or remove it, before the first "
            "deletion. While it is there, no deletion gets a certificate."
        )
    said = adoption_in_words(workspace, model.weights)["original"]
    output.emit(value, lambda: [output.facts(value), said])


def _accuracies(workspace: "Workspace", data: "DataRef", model: "ModelRef") -> dict[str, float | None]:
    """On training and test set, in percent; a note where the model seems to be fed wrongly."""
    from tmu.steps.measure_accuracy import measure_accuracy

    found = {split: measure_accuracy(workspace, data, model, split) for split in ("train", "test")}
    train = found["train"]
    if train is not None and train.right <= train.largest_class:
        output.note(
            f"The model is right on {train.right:.1f} % of the training records, no more than the most frequent "
            "class: check `model.mean` and `model.std`, the order of the classes, and the data."
        )
    return {f"accuracy_{split}_pct": None if each is None else round(each.right, 2) for split, each in found.items()}
