"""`tmu lineage`: what a person's records reached, and what a model saw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmu.cli import output
from tmu.cli.selection import File, Records, Subjects
from tmu.cli.workspace import open_workspace
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.lineage.graph import Graph
    from tmu.workspace import Workspace

_SIGNS = {"holds": "[red]holds[/]", "kept": "[red]holds, serves[/]", "unknown": "[yellow]unknown[/]"}


def lineage(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="A version (3, @champion), or the beginning of its weights' SHA-256."),
    ] = None,
    subjects: Subjects = [],  # noqa: B006 - Typer copies it
    records: Records = [],  # noqa: B006
    file: File = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Draw it, on one page.")] = None,
    prov: Annotated[Path | None, typer.Option("--prov", metavar="FILE", help="Write it as W3C PROV JSON.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List also what holds nothing of the records.")] = False,
    as_json: output.Json = False,
) -> None:
    """Everything that a person's records reached: revisions, shards, references, models, twins, audits, versions; and
    from a model the data that it saw. Nothing is changed; ids are hashed at once and not shown.

    Examples: [bold]tmu lineage --subject ID[/] · [bold]tmu lineage --record ID --html lineage.html[/] ·
    [bold]tmu lineage @champion --prov lineage.json[/]
    """
    workspace = open_workspace()
    graph = _graph(workspace, model, subjects, records, file)
    written = []
    if html is not None:
        from tmu.lineage.page import page

        written.append(_write(html, page(graph)))
    if prov is not None:
        from tmu.lineage.prov_json import as_prov
        from tmu.steps.trace_lineage import purged_for

        written.append(_write(prov, as_prov(graph, purged_for(workspace, graph))))
    value = graph.model_dump(mode="json") | {"written": written}
    output.emit(value, lambda: _shown(graph, everything or model is not None, written))


def _graph(
    workspace: "Workspace", model: str | None, subjects: list[str], records: list[str], file: str | None
) -> "Graph":
    from tmu.steps.trace_lineage import lineage_of_model, lineage_of_records

    people = bool(subjects or records or file)
    if people == (model is not None):
        raise ConfigError("Name a model, or people and records.", "`tmu lineage @champion`, or --subject, --record.")
    if model is not None:
        return lineage_of_model(workspace, _weights(workspace, model))
    from tmu.cli.selection import select
    from tmu.data.info import read_info

    chosen = select(workspace, read_info(workspace.data), subjects, records, file)
    return lineage_of_records(workspace, chosen.subjects, chosen.records)


def _weights(workspace: "Workspace", model: str) -> str:
    """By version or alias; else it is the weights' digest, or an artifact's address as this verb prints it."""
    from tmu.cli import registered
    from tmu.errors import RequestError
    from tmu.lineage.learners import learners

    if model.startswith("@") or (model.isdecimal() and len(model) < 8):
        try:
            return registered.pick(workspace, model).weights_sha256
        except RequestError as error:  # it repeats the name, which may be an id given in the wrong place
            raise RequestError("There is no registered version of that name.", error.hint) from None
    if "/" in model:
        return next((each.weights for each in learners(workspace) if each.address == model), model)
    return model


def _write(path: Path, content: str) -> str:
    from tmu.files import write_atomic

    write_atomic(path, content.encode())
    return str(path)


def _shown(graph: "Graph", everything: bool, written: list[str]) -> list[Any]:
    held = [node for node in graph.nodes if node.state in ("holds", "kept", "unknown")]
    rows = output.table("kind", "what", "state", "")
    for node in graph.nodes if everything else held:
        rows.add_row(node.kind, _short(node.id), _SIGNS.get(node.state, node.state), node.said)
    elsewhere = ", ".join(sorted(graph.elsewhere))
    lines = [f"Of {graph.asked}: {len(held)} of {len(graph.nodes)} things hold something."] if not everything else []
    return [rows, *lines, f"Not followed here, a purge looks into them: {elsewhere}.", *(f"Wrote {w}" for w in written)]


def _short(address: str) -> str:
    """An address with as many digits as tell it from others."""
    kind, slash, key = address.partition("/")
    return f"{kind}/{key[:12]}" if slash and len(key) > 20 else address
