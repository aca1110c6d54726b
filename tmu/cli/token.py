"""`tmu token …`: who may call the HTTP API. A token is shown once and kept as a hash."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.ledger import existing, made
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.service.roles import Role
    from tmu.service.tokens import Token

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke the tokens of the HTTP API.")
_COLUMNS = ("id", "name", "roles", "created", "expires", "state")


@app.command()
def create(
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="The caller that it authenticates: a role account, no e-mail address."
        ),
    ],
    roles: Annotated[
        list[str], typer.Option("--role", metavar="ROLE", help="requester, approver, operator, auditor; repeatable.")
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Number of days that it is valid.")] = 90,
    as_json: output.Json = False,
) -> None:
    """Create a token. A requester cannot approve: give the two roles to different names.

    Examples: [bold]tmu token create --name portal --role requester[/] ·
    [bold]tmu token create --name dpo --role approver --role auditor --days 30[/]
    """
    from tmu.ledger.actor import OPERATOR
    from tmu.service import tokens

    chosen, workspace = _roles(roles), open_workspace()
    with made() as ledger:
        token, text = tokens.create(ledger, tokens.tokens_of(workspace), name, chosen, days, OPERATOR)
    value = _shown(token) | {"token": text}
    output.emit(
        value,
        lambda: [output.facts(value), "Store the token now: only its hash is kept, and it cannot be shown again."],
    )


@app.command("list")
def list_(as_json: output.Json = False) -> None:
    """List the tokens; none of them can be read from here.

    Example: [bold]tmu token list[/]
    """
    from tmu.service import tokens

    rows = [_shown(token) for token in tokens.tokens_of(open_workspace()).all()]
    made_ = output.table(*_COLUMNS)
    for row in rows:
        made_.add_row(*(str(row[name])[: 16 if name in ("created", "expires") else None] for name in _COLUMNS))
    output.emit(rows, lambda: [made_] if rows else ["There is none."])


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="`tmu token list` lists them; not the token itself.")],
    as_json: output.Json = False,
) -> None:
    """Revoke a token: the next call with it is refused, without a restart.

    Example: [bold]tmu token revoke 0123abcd[/]
    """
    from tmu.ledger.actor import OPERATOR
    from tmu.service import tokens

    workspace = open_workspace()
    with existing() as ledger:
        value = _shown(tokens.revoke(ledger, tokens.tokens_of(workspace), token, OPERATOR))
    output.emit(value, lambda: [f"Token {value['id']} of {value['name']} is revoked."])


def _shown(token: "Token") -> dict[str, Any]:
    from tmu.ledger.store import utc_now

    state = "revoked" if token.revoked else "in force" if token.valid(utc_now()) else "expired"
    value = {"id": token.id, "name": token.name, "roles": ", ".join(token.roles)}
    return value | {"created": token.created.isoformat(), "expires": token.expires.isoformat(), "state": state}


def _roles(names: list[str]) -> "list[Role]":
    from tmu.service.roles import Role

    unknown = sorted(set(names) - set(Role))
    if unknown:
        raise ConfigError(f"There is no role `{unknown[0]}`.", f"Choose from {', '.join(Role)}.")
    return [Role(name) for name in names]
