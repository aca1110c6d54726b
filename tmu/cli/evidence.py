"""`tmu evidence`, `tmu pull`, `tmu letter`, `tmu register`: what is handed out of a deletion."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.workspace import open_workspace
from tmu.errors import GateError

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a request: the ledger's, or a deletion's.")]


def evidence(
    request: Annotated[str | None, typer.Argument(metavar="[ID]", help="Seal the bundle of this request.")] = None,
    as_json: output.Json = False,
) -> None:
    """List the evidence bundles of this workspace; with an id, seal and store the bundle of that request.

    A deletion seals its bundles at its end. What was interrupted then, or had no certificate yet, is sealed by this. A
    sealed bundle is never made again.

    Examples: [bold]tmu evidence[/] · [bold]tmu evidence 0123456789abcdef[/]
    """
    if request is None:
        _list()
        return
    from tmu.steps.seal_evidence import NotSealed, seal_evidence

    found = seal_evidence(open_workspace(), request)
    if isinstance(found, NotSealed):
        raise GateError(found.why, found.hint)
    output.emit(found.model_dump(), lambda: [f"{found.files} files are sealed in {found.store}."])


def _list() -> None:
    from tmu.evidence.sums import SUMS
    from tmu.steps.seal_evidence import bundles

    rows = output.table("request", "files", "sealed", numbers=["files"])
    value = []
    for folder in bundles(open_workspace()):
        files = sum(1 for path in folder.glob("[!.]*") if path.is_file())
        value.append({"request": folder.name, "files": files, "sealed": (folder / SUMS).exists()})
        rows.add_row(folder.name, str(files), "yes" if (folder / SUMS).exists() else "no")
    output.emit(value, lambda: [rows] if value else ["There is no evidence yet."])


def pull(
    request: Id,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DIR", help="A new folder, or that of an interrupted pull.")
    ] = None,
    as_links: Annotated[bool, typer.Option("--links", help="Print presigned links instead (S3 only).")] = False,
    hours: Annotated[float, typer.Option(min=0.1, max=168, help="How long the links are good for.")] = 24.0,
    as_json: output.Json = False,
) -> None:
    """Fetch a request's evidence bundle and the weights of its model; an interrupted pull goes on where it stopped.

    Where training started from weights ([bold]model.init[/]), these come, too. Each file is checked against the
    bundle's SHA256SUMS or its artifact's manifest. A model that a later deletion replaced is not handed out. Default
    folder: evidence-ID.

    Examples: [bold]tmu pull 0123456789abcdef --to audit-2026[/] · [bold]tmu pull 0123456789abcdef --links --hours 2[/]
    """
    from tmu.steps import pull as step

    workspace = open_workspace()
    if as_links:
        found = step.links(workspace, request, round(hours * 3600))
        lines = [f"{each.name}: {each.address}" for each in found]
        value = {"hours": hours, "links": [each.model_dump() for each in found]}
        output.emit(value, lambda: [*lines, f"The links are good for {hours:g} hours."])
        return
    with output.progress("pull") as report:
        pulled = step.pull(workspace, request, Path(to or f"evidence-{request}").resolve(), report)
    output.emit(pulled.model_dump(), lambda: _shown(pulled))


def _shown(pulled: Any) -> list[str]:
    size = sum(pulled.files.values())
    lines = [f"{len(pulled.files)} files ({size:,} bytes) are in {pulled.folder}; each has its digest."]
    if pulled.resumed:
        lines.append(f"{pulled.resumed:,} bytes of them were there already.")
    return [*lines, *filter(None, (pulled.model, pulled.start))]


def letter(
    request: Id,
    markdown: Annotated[bool, typer.Option("--markdown", help="With headings, in Markdown.")] = False,
    as_json: output.Json = False,
) -> None:
    """Print the letter to the person whose request is completed: what was done, what stays and why, whom to ask.

    It names no id. Whom to ask and whom to complain to: settings [bold]issuer[/], [bold]issuer_contact[/],
    [bold]authority[/].

    Examples: [bold]tmu letter 0123456789abcdef[/] · [bold]tmu letter 0123456789abcdef --markdown[/]
    """
    from tmu.evidence.letter import letter_markdown, letter_text
    from tmu.steps.write_letter import letter_of

    workspace = open_workspace()
    facts = letter_of(workspace, request)
    unset = [f"`{name}`" for name in ("issuer", "issuer_contact") if name not in workspace.settings.model_fields_set]
    if unset:
        output.note(f"Before you send it, set {' and '.join(unset)} in tmu.toml: the letter says `not named` there.")
    text = letter_markdown(facts) if markdown else letter_text(facts)
    output.emit(facts.model_dump() | {"text": text}, lambda: [text.rstrip("\n")])


def register(
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write it to a file.")] = None,
    as_json: output.Json = False,
) -> None:
    """The register of all requests as CSV: dates, ground, outcome, counts, digest of the certificate. No keys.

    Examples: [bold]tmu register --out register.csv[/] · [bold]tmu register --json[/]
    """
    from tmu.evidence.register import register_csv
    from tmu.files import write_atomic
    from tmu.steps.register_of_requests import register_of

    rows = register_of(open_workspace())
    content = register_csv(rows)
    if out is not None:
        write_atomic(Path(out).resolve(), content)
    said = f"{len(rows)} requests are in {out}." if out else content.decode().rstrip("\n")
    output.emit([row.model_dump() for row in rows], lambda: [said])
