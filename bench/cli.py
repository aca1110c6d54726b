"""`tmu bench` and `python -m bench`: one definition of the verb for both."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tmu.cli import output
from tmu.errors import ConfigError, TmuError

SPEED = "gpu-speed"  # no suite of cells: its parts are those of bench/gpu_speed
_SPEED_TITLE = "Training and deletions timed on one GPU, in at most eight minutes"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command()
def bench(
    name: Annotated[str | None, typer.Argument(metavar="[SUITE]", help="Name of a suite, or path of its YAML.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core, on a GPU one.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after this time; the next call resumes.")] = None,
    only: Annotated[list[str], typer.Option(metavar="GLOB", help="Only these cells: forget-set/row/seed.")] = [],  # noqa: B006
    fresh: Annotated[list[str], typer.Option(metavar="ROW", help="Measure this row again.")] = [],  # noqa: B006
    toy: Annotated[bool, typer.Option("--toy", help="The suite's tiny version; its numbers are kept apart.")] = False,
    any_code: Annotated[
        bool, typer.Option("--any-code", help="Reuse models that an earlier state of the code trained.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    list_: Annotated[bool, typer.Option("--list", help="Show the suites.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show what is done and what is missing.")] = False,
    as_json: output.Json = False,
) -> None:
    """Measure a suite: every method on every forget set, beside retrained models, over several seeds.

    What is stored is not measured again, so the same command resumes an interrupted run.

    Examples: [bold]tmu bench --list[/] · [bold]tmu bench smoke --jobs 2[/] ·
    [bold]tmu bench cpu-small --minutes 60[/] · [bold]tmu bench cpu-small --only 'random-10/tmu*/*'[/] ·
    [bold]tmu bench cpu-small --fresh scrub[/] · [bold]tmu bench gpu-cifar10 --toy[/] ·
    [bold]tmu bench gpu-speed[/]
    """
    if list_ or name is None:
        return _list()
    if name == SPEED:
        _refuse_cells(jobs, only, fresh, any_code=any_code, status=status)
        return _gpu_speed(minutes, device, toy=toy)
    from bench.runner.start import Wish, start
    from bench.suite import load

    wish = Wish(load(name, toy=toy), jobs, minutes, tuple(only), tuple(fresh), any_code, device)
    if status:
        return _status(wish)
    summary = start(wish)
    if summary["done"]:
        from bench.render import render

        summary["page"] = str(render(wish.suite.name, wish.folder))
    output.emit(summary, lambda: _shown(summary))
    if summary["failed"]:
        raise typer.Exit(1)
    return None


def run(arguments: Sequence[str] = (), as_json: bool = False) -> None:
    """What `tmu bench` calls with what was typed after it."""
    output.MODE.json = as_json
    code = app(list(arguments), prog_name="tmu bench", standalone_mode=False)
    if code:
        raise typer.Exit(code)


def main() -> None:
    """`python -m bench`."""
    try:
        app(prog_name="python -m bench")
    except TmuError as error:
        output.emit_error(error)
        raise SystemExit(error.exit_code) from error


def _refuse_cells(jobs: int | None, only: list[str], fresh: list[str], *, any_code: bool, status: bool) -> None:
    given = {"--jobs": jobs, "--only": only, "--fresh": fresh, "--any-code": any_code, "--status": status}
    if unused := [option for option, value in given.items() if value]:
        raise ConfigError(f"`{SPEED}` has no use for {unused[0]}.", "It takes --minutes, --device and --toy.")


def _gpu_speed(minutes: float | None, device: str, *, toy: bool) -> None:
    from bench.gpu_speed.start import start
    from bench.runner.start import HOME

    summary = start(HOME, toy=toy, minutes=minutes, device=device)
    lines = [f"{summary['rows']} rows, {summary['seconds']:.0f} s: {summary['results']}", f"Table: {summary['page']}"]
    output.emit(summary, lambda: [*lines, *(f"failed: {part}: {why}" for part, why in summary["failed"].items())])
    if summary["failed"]:
        raise typer.Exit(1)


def _list() -> None:
    from bench.runner.show import suites_table
    from bench.suite import load, names

    suites = [load(name) for name in names()]
    value = [{"suite": suite.name, "title": suite.title} for suite in suites]
    value.append({"suite": SPEED, "title": _SPEED_TITLE})
    output.emit(value, lambda: [suites_table(suites), f"{SPEED}: {_SPEED_TITLE}"])


def _status(wish: Any) -> None:
    from bench.runner.show import status, status_table

    entries = status(wish.suite, wish.book.cells())
    output.emit(entries, lambda: [status_table(entries)])


def _shown(summary: dict[str, Any]) -> list[str]:
    lines = [f"{summary['done']} of {summary['cells']} cells done, {summary['seconds']:.0f} s: {summary['results']}"]
    lines += [f"Tables and figures: {summary['page']}"] if "page" in summary else []
    lines += [f"refused: {line}" for line in summary["refused"]]
    lines += [f"failed: {task}: {why}" for task, why in summary["failed"].items()]
    lines += [f"skipped: {task}, {why}" for task, why in summary["skipped"].items()]
    if not summary["complete"] and not summary["failed"]:
        lines.append("Run the same command to go on.")
    return lines
