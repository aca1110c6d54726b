"""A lineage as W3C PROV (PROV-DM), written as PROV JSON: for tools that know no tmu.

Things are entities of the namespace `tmu`, with their kind and state; deletions are activities. What was destroyed is
invalidated by the deletion it went for, where a purge note names it.
"""

from typing import Any

from tmu.lineage.graph import Edge, Graph

NAMESPACE = "https://tmu.invalid/lineage#"
"""Names things within one workspace; nothing is to be fetched from there."""
_DERIVED = {"made of": "prov:Revision", "follows": "prov:Revision", "registers": "prov:PrimarySource"}


def as_prov(graph: Graph, purged: dict[str, str]) -> str:
    """PROV JSON. purged: the request by the address of what it destroyed."""
    from prov.model import ProvDocument

    document = ProvDocument()
    document.add_namespace("tmu", NAMESPACE)
    made: dict[str, Any] = {}
    for node in graph.nodes:
        facts = {"prov:label": node.id, "tmu:kind": node.kind, "tmu:state": node.state, "tmu:said": node.said}
        facts = {name: value for name, value in facts.items() if value}
        is_deletion = node.kind == "journal"
        make = document.activity if is_deletion else document.entity
        made[node.id] = make(_name(node.id), other_attributes=facts)
    for edge in graph.edges:
        _relate(document, made, edge, {node.id for node in graph.nodes if node.kind == "journal"})
    for address, request in sorted(purged.items()):
        if address in made and f"request {request}" in made:
            document.wasInvalidatedBy(made[address], made[f"request {request}"])
    return str(document.serialize(format="json", indent=2))


def _relate(document: Any, made: dict[str, Any], edge: Edge, deletions: set[str]) -> None:
    source, target = made[edge.source], made[edge.target]
    if edge.source in deletions:
        document.used(source, target, other_attributes={"prov:role": edge.relation})
    elif edge.relation in ("without", "in"):
        document.wasInfluencedBy(source, target, other_attributes={"tmu:relation": edge.relation})
    else:
        facts: dict[str, str] = {"tmu:relation": edge.relation}
        if edge.relation in _DERIVED:
            facts["prov:type"] = _DERIVED[edge.relation]
        document.wasDerivedFrom(source, target, other_attributes=facts)


def _name(id_: str) -> str:
    """A qualified name: of an address without blanks and characters that some readers refuse."""
    return "tmu:" + "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in id_)
