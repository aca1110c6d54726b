"""`tmu model …`: weights that were trained elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from tmu.cli import output

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
