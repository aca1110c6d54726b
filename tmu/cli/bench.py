"""`tmu bench`: everything after the verb goes to the benchmark, which has options and help of its own."""

import typer

from tmu.cli import flow, output

# the benchmark lies above this package: what it understands is not known here
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def bench(context: typer.Context) -> None:
    """Measure every method on many forget sets, over several seeds, beside retrained models.

    Examples: [bold]tmu bench --list[/] · [bold]tmu bench smoke[/] · [bold]tmu bench --help[/]
    """
    flow.load("bench")(context.args, as_json=output.MODE.json)
