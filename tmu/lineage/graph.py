"""A lineage as values: things that a person or a model reached, and how they came from one another."""

from typing import Literal

from pydantic import Field

from tmu.config import Config
from tmu.lineage.kinds import KINDS

State = Literal["holds", "free", "kept", "destroyed", "unknown"]
"""holds: something of what was asked for is in it. free: nothing of it. kept: it holds it, and serves. destroyed: by a
purge. unknown: it cannot be read any more, and counts as one that holds it."""
Relation = Literal["learned", "made of", "without", "looked at", "registers", "follows", "in"]


class Node(Config):
    """One thing. id: its address; of no person. kind: of the registry. said: how much of it, in words. at: a time."""

    id: str
    kind: str
    state: State = "free"
    said: str = ""
    at: str = ""


class Edge(Config):
    """`source` learned, is made of, did without, looked at, registers, follows or lies in `target`."""

    source: str
    relation: Relation
    target: str


class Graph(Config):
    """asked: what for, in words without an id. nodes: each address once. edges: between them.

    elsewhere: kinds that are not followed here, and where a purge looks for them.
    """

    asked: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    elsewhere: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @classmethod
    def of(cls, asked: str, nodes: list[Node], edges: list[Edge]) -> "Graph":
        """Nodes in the order of the registry, each once; edges between what is there."""
        order = [each.name for each in KINDS]
        known = {node.id: node for node in reversed(nodes)}
        placed = sorted(known.values(), key=lambda node: (order.index(node.kind), node.at, node.id))
        wanted = {(each.source, each.relation, each.target): each for each in edges}
        found = tuple(each for each in wanted.values() if {each.source, each.target} <= known.keys())
        followed = {node.kind for node in placed} | _FOLLOWED
        elsewhere = {each.name: each.places for each in KINDS if each.places and each.name not in followed}
        return cls(asked=asked, nodes=tuple(placed), edges=found, elsewhere=elsewhere)

    def around(self, start: str) -> "Graph":
        """What a thing came from, and what came from it: all that edges lead to from it, and back to it."""
        ids = _reached(start, [(e.source, e.target) for e in self.edges])
        ids |= _reached(start, [(e.target, e.source) for e in self.edges])
        nodes = tuple(node for node in self.nodes if node.id in ids)
        edges = tuple(edge for edge in self.edges if {edge.source, edge.target} <= ids)
        return self.model_copy(update={"nodes": nodes, "edges": edges})


_FOLLOWED = {
    "revision", "shard", "references", "unfinished references", "snapshot", "original", "gold", "unlearned", "twin",
    "reference-twin", "probes", "answers", "audit", "forget", "stage folder", "MLflow version", "journal",
}  # fmt: skip


def _reached(start: str, pairs: list[tuple[str, str]]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for source, target in pairs:
            if source == here and target not in found:
                found.add(target)
                waiting.append(target)
    return found
