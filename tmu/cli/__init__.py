"""The command line `tmu`: one file a group of verbs, each of which imports what is heavy only when it runs."""

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tmu import __version__
from tmu.cli import (
    audit,
    bench,
    certificate,
    compare,
    data,
    delete,
    demo,
    doctor,
    evidence,
    export,
    init,
    keys,
    ledger,
    lineage,
    model,
    output,
    plan,
    purge,
    reference_table,
    replay,
    request,
    restore,
    serve,
    show,
    token,
    train,
    twin,
    unlearn,
    verify_erasure,
)
from tmu.cli.workspace import choose_home, home
from tmu.errors import TmuError
from tmu.files import storage_errors
from tmu.loopback import exempt_loopback

EXIT_CODES = {
    0: "done",
    1: "an internal error of tmu, or `tmu doctor` found a problem",
    2: "a wrong option, parameter or setting",
    3: "a request that cannot be carried out as it is",
    4: "unusable data",
    5: "an unusable model",
    6: "a gate refused, or `tmu verify-erasure` found something",
    7: "the disk or a store failed, or could not be searched",
    8: "the request is in the ledger and nothing is erased yet",
    9: "the replay needs what was purged; what remains was checked",
    output.INTERRUPTED: "interrupted",
}
_ORDER = (
    "init", "data", "model", "train", "references", "twin", "delete", "purge", "verify-erasure", "certificate",
    "verify", "evidence", "pull", "replay", "letter", "register", "request", "ledger", "keys", "restore", "serve",
    "token", "compare", "show", "export", "lineage", "doctor", "demo",
)  # fmt: skip


class Tmu(TyperGroup):
    """Turns every error into one line and an exit code; lists first what is used first."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        """The verbs of a user's way, then those that `dvc.yaml` calls."""
        return [*_ORDER, *(name for name in super().list_commands(ctx) if name not in _ORDER)]

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the verb. TMU_DEBUG=1 lets the traceback of a fault through."""
        try:
            with storage_errors(home() or "."):  # the net below the rooms' own translations
                return super().invoke(ctx)
        except TmuError as error:
            output.emit_error(error)
            raise typer.Exit(error.exit_code) from error
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError, EOFError):
            raise
        except KeyboardInterrupt as error:
            output.emit_interrupt()
            raise typer.Exit(output.INTERRUPTED) from error
        except Exception as error:
            if os.environ.get("TMU_DEBUG"):
                raise
            output.emit_fault(error)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Tmu,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes:\n" + "\n".join(f"{code}: {meaning}" for code, meaning in EXIT_CODES.items()),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tmu {__version__}")
        raise typer.Exit


@app.callback()
def root(
    folder: Annotated[
        str | None, typer.Option("--home", metavar="DIR", help="The workspace; else TMU_HOME, else this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON; also after the verb.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Delete a person from a trained image classifier, and audit the result.

    A first look: [bold]tmu demo[/]. With data of your own: [bold]tmu init[/], [bold]tmu data import[/],
    [bold]tmu delete --subject ID --dry-run[/].
    """
    output.MODE.json = as_json
    exempt_loopback()
    choose_home(folder)


app.command("init")(init.init)
app.add_typer(data.app, name="data")
app.add_typer(model.app, name="model")
app.add_typer(export.app, name="export")
app.add_typer(train.app, name="train")
app.add_typer(reference_table.app, name="references")
app.add_typer(twin.app, name="twin")
app.command("plan")(plan.plan)
app.command("erase")(plan.erase)
app.command("unlearn")(unlearn.unlearn)
app.command("audit")(audit.audit)
app.command("delete")(delete.delete)
app.command("purge")(purge.purge)
app.add_typer(certificate.app, name="certificate")
app.command("verify")(certificate.verify_file)
app.command("evidence")(evidence.evidence)
app.command("pull")(evidence.pull)
app.command("replay")(replay.replay)
app.command("letter")(evidence.letter)
app.command("register")(evidence.register)
app.add_typer(request.app, name="request")
app.add_typer(ledger.app, name="ledger")
app.add_typer(keys.app, name="keys")
app.command("restore")(restore.restore)
app.command("serve")(serve.serve)
app.add_typer(token.app, name="token")
app.command("verify-erasure")(verify_erasure.verify_erasure)
app.command("compare")(compare.compare)
app.command("show")(show.show)
app.command("lineage")(lineage.lineage)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("bench", context_settings=bench.PASSED_ON)(bench.bench)


def main() -> None:
    """The entry point of `tmu`."""
    app(prog_name="tmu")
