"""The verbs of the stack: `python -m infra up|down|status|logs|login --workspace DIR`. `make` calls them."""

import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tmu.cli import output
from tmu.errors import ConfigError, TmuError


class Infra(TyperGroup):
    """Turns the errors that a user can fix into one line and an exit code."""

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the verb."""
        output.MODE.json = False  # of an earlier call in this process
        try:
            return super().invoke(ctx)
        except TmuError as error:
            output.emit_error(error)
            raise typer.Exit(error.exit_code) from error
        except PermissionError as error:  # the stack of another user, of root after `sudo make up`
            refused = ConfigError(
                f"This user cannot access {error.filename or 'a process or file of this stack'}.",
                "Run this as the user who started the stack, or name a workspace where you may write.",
            )
            output.emit_error(refused)
            raise typer.Exit(refused.exit_code) from error


class S3(StrEnum):
    """The S3 stores that can be started here."""

    ceph = "ceph"
    moto = "moto"


app = typer.Typer(cls=Infra, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Home = Annotated[
    Path,
    typer.Option("--workspace", metavar="DIR", help="The workspace; created with the embedded digits if it is new."),
]
_SERVICE = Path("service")


@app.command()
def up(
    workspace: Home = _SERVICE,
    first_port: Annotated[
        int | None,
        typer.Option(
            "--first-port", min=1024, max=65000, help="On the first start: search for free ports from this one on."
        ),
    ] = None,
    s3: Annotated[
        S3 | None, typer.Option("--s3", help="On the first start: the S3 store; moto is for trials only.")
    ] = None,
    bootstrap: Annotated[
        bool, typer.Option(help="Also update Prefect's pools, limits and deployments; takes seconds.")
    ] = True,
    as_json: output.Json = False,
) -> None:
    """Start every server that does not run, wait until all are well, and prepare Prefect. It may be repeated."""
    from infra.stack import show
    from infra.stack.status import status
    from infra.stack.up import up as start

    store, home = s3.value if s3 else None, _home(workspace)
    with show.progress() as tell:
        stack, result = start(home, s3=store, first_port=first_port, bootstrap=bootstrap, tell=tell)
    found = status(stack)
    place = f"Workspace {stack.home}"
    words = f"Ready after {result.seconds:.0f} s." if result.started else "Everything was running already."
    output.emit(
        {**found.as_dict(), "seconds": round(result.seconds, 1), "started": result.started, "notes": result.notes},
        lambda: [words, show.addresses(found.processes), *_logins(stack, result.made), *result.notes, place],
    )


_LOGIN = "`make login` shows the logins of Prefect and MLflow."


def _logins(stack: Any, made: bool) -> list[Any]:
    """The logins, at the first start alone; later how to see them."""
    from infra.stack import show

    return [show.logins(stack), "This is shown once. `make login` shows it again."] if made else [_LOGIN]


@app.command()
def down(
    workspace: Home = _SERVICE,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Also remove the databases, buckets and secrets of this stack.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove data without asking.")] = False,
    as_json: output.Json = False,
) -> None:
    """Stop every server in reverse order and wait until each is gone. What they stored stays."""
    from infra.stack.down import down as stop
    from infra.stack.remove_data import delete, doomed

    stack, removed = _stack(workspace), []
    _name_stand_in(stack)
    if delete_data and not yes:
        output.note("Ledger, runs, models and data revisions of this stack would be lost; the workspace's files stay:")
        for path in doomed(stack):
            output.note(f"  {path}")
        typer.confirm("Remove them?", abort=True, err=True)
    stopped = stop(stack, lambda name: None if output.MODE.json else output.note(f"stopping {name}"))
    if delete_data:
        removed = [str(path) for path in delete(stack)]
    lines = [f"{stopped} processes stopped.", *(f"Removed {path}" for path in removed)]
    output.emit({"stopped": stopped, "removed": removed}, lambda: lines)


@app.command()
def status(workspace: Home = _SERVICE, as_json: output.Json = False) -> None:
    """State, uptime, memory, restarts and health of every process. Exit code 1 if one is not well."""
    from infra.stack import show
    from infra.stack.status import status as look

    found = look(_stack(workspace))
    output.emit(found.as_dict(), lambda: [show.states(found), *found.notes])
    if not found.well:
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="One process; default: all.")] = None,
    workspace: Home = _SERVICE,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow new lines.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Number of last lines.")] = 50,
) -> None:
    """The last lines of the servers' logs."""
    stack = _stack(workspace)
    _name_stand_in(stack)
    folder = stack.state("logs")
    known = sorted(path.stem for path in folder.glob("*.log"))
    if name and name not in known:
        raise ConfigError(f"There is no log of `{name}`.", f"Known: {', '.join(known)}.")
    files = [str(folder / f"{each}.log") for each in ([name] if name else known)]
    os.execvp("tail", ["tail", "-n", str(lines), *(["-F"] if follow else []), *files])  # noqa: S606


@app.command()
def login(
    workspace: Home = _SERVICE,
    export: Annotated[bool, typer.Option("--export", help="As lines for a shell: eval $(... login --export).")] = False,
    as_json: output.Json = False,
) -> None:
    """The logins of Prefect's and MLflow's pages, for whoever may read the stack's settings."""
    from infra.stack import show
    from tmu.stores.mlflow_login import login_variables

    stack = _stack(workspace)
    if export:
        variables = {**stack.prefect.environment(), **login_variables(stack.settings)}
        typer.echo("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
        return
    found = {name: stack.need(f"{name}_login") for name in ("prefect", "mlflow")}
    output.emit(found, lambda: [show.logins(stack)])


def _name_stand_in(stack: Any) -> None:
    """Say on stderr where the S3 store is no real one; `up` and `status` say it in their result."""
    from infra.stack.moto import WARNING

    if stack.settings.s3_server == "moto" and not output.MODE.json:
        output.note(WARNING)


def _stack(workspace: Path) -> Any:
    from infra.stack.place import Stack

    return Stack.open(_home(workspace))


def _home(workspace: Path) -> Path:
    # not every shell replaces the ~ of `make up WORKSPACE=~/clinic`
    return workspace.expanduser().resolve()


if __name__ == "__main__":
    app(prog_name="python -m infra")
