"""`tmu audit`."""

from pathlib import Path
from typing import Annotated

import typer

from tmu.cli import output
from tmu.cli.outcome import read_audit, shown_outcome
from tmu.cli.overrides import Set, overridden
from tmu.cli.place import Data, Out, data_of, out_of, workspace
from tmu.cli.references import forget_ref, identity, model_ref, twin_ref


def audit(
    forget: Annotated[str, typer.Option(metavar="REF", help="What was to be forgotten.")],
    original: Annotated[str, typer.Option(metavar="REF", help="The model before.")],
    gold: Annotated[list[str], typer.Option(metavar="REF", help="At least two: run 0 first, then independent ones.")],
    control: Annotated[str, typer.Option(metavar="REF", help="The model of `tmu unlearn --control`.")],
    unlearned: Annotated[str, typer.Option(metavar="REF", help="The model to judge.")],
    twin: Annotated[str, typer.Option(metavar="REF", help="The twin behind it.")],
    data: Data = None,
    out: Out = None,
    sets: Set = [],  # noqa: B006 - Typer copies it
    as_json: output.Json = False,
) -> None:
    """Set the unlearned model beside retrained ones: numbers, verdict, figures, report.

    Example: [bold]tmu audit --forget out/forget --original out/original --gold out/gold --gold out/gold-2
    --control out/control --unlearned out/unlearned --twin out/twin --out out/audit[/]
    """
    place = workspace()
    params, target, source = overridden(place.params, sets), out_of(place, out), data_of(place, data)
    from tmu.steps.audit_models import audit_models

    method = identity(place, unlearned, "model").get("method", params.unlearn.method)
    params = params.model_copy(update={"unlearn": params.unlearn.model_copy(update={"method": method})})
    ref = audit_models(
        place,
        source,
        forget_ref(place, forget),
        model_ref(place, original, "original"),
        [model_ref(place, each, "gold") for each in gold],
        model_ref(place, control, "unlearned"),
        model_ref(place, unlearned, "unlearned"),
        twin_ref(place, twin),
        params,
        out=target,
    )
    folder: Path = place.artifacts.fetch(ref.uri, ref.digest)
    value = ref.model_dump() | read_audit(folder)
    output.emit(value, lambda: [output.facts(ref.model_dump()), *shown_outcome(value)])
