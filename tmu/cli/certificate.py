"""`tmu certificate …` and `tmu verify`: signed certificates of completed requests, and their keys."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.workspace import open_workspace

if TYPE_CHECKING:
    from tmu_verify.verify import Against, Verified

app = typer.Typer(no_args_is_help=True, help="Issue, show and verify certificates; rotate and revoke their keys.")
Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id.")]
_COLUMNS = ("keyid", "scheme", "from", "until", "state")


def _given(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


@app.command()
def issue(request: Request, as_json: output.Json = False) -> None:
    """Issue the certificate of a completed request, or say why there is none. What is issued stays as it is.

    A deletion does so at its end. This is for one whose purge or search had to be repeated, or whose time stamp is
    missing.

    Example: [bold]tmu certificate issue 0123456789abcdef[/]
    """
    from tmu.steps.issue_certificate import issue_of

    value = issue_of(open_workspace(), request).model_dump(mode="json")
    output.emit(value, lambda: [f"The certificate of request {request} is issued.", output.facts(value)])


@app.command()
def show(request: Request, as_json: output.Json = False) -> None:
    """Show what a certificate states; --json prints all of it.

    Examples: [bold]tmu certificate show 0123456789abcdef[/] · [bold]tmu certificate show case-17 --json[/]
    """
    from tmu.steps.issue_certificate import shown, stored

    path = stored(open_workspace(), request)
    value = shown(path)
    output.emit(value, lambda: [output.facts(_headlines(value["predicate"])), f"File: {path}"])


@app.command()
def verify(request: Request, as_json: output.Json = False) -> None:
    """Verify the stored certificate of a request against this workspace: keys, log, model and evidence.

    Example: [bold]tmu certificate verify 0123456789abcdef[/]
    """
    from tmu.steps.check_certificate import check_certificate

    _tell(check_certificate(open_workspace(), request))


@app.command()
def keys(as_json: output.Json = False) -> None:
    """List the keys that certificates are signed with, and where the public list lies.

    Example: [bold]tmu certificate keys[/]
    """
    from tmu.certificate.keyring import Keyring

    ring = Keyring(open_workspace())
    rows = ring.rows()
    made = output.table(*_COLUMNS)
    for row in rows:
        made.add_row(*(str(row[name] or "")[: 16 if name == "keyid" else None] for name in _COLUMNS))
    file = f"Publish this file: {ring.path}"
    output.emit(rows, lambda: [made, file] if rows else ["There is none: the first certificate makes one."])


@app.command()
def rotate(as_json: output.Json = False) -> None:
    """Put a new key in force and retire the one before. Certificates that it signed stay valid.

    Example: [bold]tmu certificate rotate[/]
    """
    from tmu.certificate.keyring import Keyring

    ring = Keyring(open_workspace())
    keyid = ring.rotate()
    output.emit({"keyid": keyid}, lambda: [f"Key {keyid} is in force.", f"Publish the new list: {ring.path}"])


@app.command()
def revoke(
    keyid: Annotated[str, typer.Argument(metavar="KEYID", help="The beginning of its id suffices.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is published.")],
    as_json: output.Json = False,
) -> None:
    """Revoke a key that may be in other hands. What it signed is refused from now on, unless a time stamp is older.

    Example: [bold]tmu certificate revoke 0123456789ab --reason "backup disk lost"[/]
    """
    from tmu.certificate.keyring import Keyring

    ring = Keyring(open_workspace())
    full = ring.revoke(keyid, reason)
    output.emit({"keyid": full}, lambda: [f"Key {full} is revoked.", f"Publish the new list: {ring.path}"])


def verify_file(
    certificate: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="The file certificate.json.")],
    keys: Annotated[Path | None, _given("FILE", "The issuer's list of keys; else keys.json beside it.")] = None,
    request: Annotated[str | None, _given("ID", "The request that it must answer.")] = None,
    log: Annotated[Path | None, _given("FILE", "An export of the audit log.")] = None,
    model: Annotated[Path | None, _given("FOLDER", "The model that is said to have forgotten.")] = None,
    bundle: Annotated[Path | None, _given("FOLDER", "The evidence that the certificate names.")] = None,
    roots: Annotated[Path | None, _given("FILE", "Root certificates of the time stamp authority.")] = None,
    as_json: output.Json = False,
) -> None:
    """Verify a certificate offline. Needs no workspace; `tmu-verify` does the same without tmu.

    Each fault has a name and an exit code from 10 to 18 (docs/certificate.md).

    Examples: [bold]tmu verify certificate.json --request case-17[/] ·
    [bold]tmu verify certificate.json --keys keys.json --log log.jsonl --model model/[/]
    """
    from tmu_verify.verify import Against

    against = Against(keys=keys, request=request, log=log, model=model, bundle=bundle, roots=roots)
    _tell(_verified(certificate, against))


def _verified(certificate: Path, against: "Against") -> "Verified":
    from tmu.certificate.verified import verified

    return verified(certificate, against)


def _tell(found: "Verified") -> None:
    value = found.as_json()
    lines = [f"checked: {text}" for text in found.checked] + [f"not checked: {text}" for text in found.not_checked]
    head = f"The certificate of request {found.statement.request} verifies."
    output.emit(value, lambda: [head, *(output.facts({"": line}) for line in lines)])


def _headlines(predicate: dict[str, Any]) -> dict[str, str]:
    """What a reader wants to know first."""
    scope, dates, audit = predicate["scope"], predicate["dates"], predicate["audit"]
    gone = sum(each["copies"] for each in predicate["inventory"] if each["result"] == "gone")
    stays = sum(each["copies"] for each in predicate["inventory"] if each["result"] == "stays")
    return {
        "request": predicate["request"],
        "issuer": f"{predicate['issuer']['name']} ({predicate['issuer']['contact']})",
        "received, done": f"{dates['received']}, {dates['done']}",
        "records": f"{scope['records']} of {scope['subjects']} people",
        "copies destroyed, kept": f"{gone}, {stays}",
        "models": "; ".join(f"{each['name']}: {each['fate']}" for each in predicate["models"]),
        "method": predicate["making"]["method"],
        "audit": audit["outcome"] if audit else "none",
        "attacks": ", ".join(f"{each['name']}: {each['state']}" for each in predicate["attacks"]),
        "verification, validation": f"{predicate['verification']['result']}, {predicate['validation']['result']}",
    }
