"""A lineage as one HTML page that needs nothing else: a drawing by kind, coloured by state, and the list."""

from typing import NamedTuple

from tmu.lineage.graph import Graph, Node

_COLUMNS = (
    ("data", ("revision", "shard")),
    ("references", ("references", "unfinished references", "snapshot", "reference-twin")),
    ("models", ("original", "gold", "unlearned", "twin", "stage folder")),
    ("forget sets, probes, audits", ("forget", "probes", "answers", "audit")),
    ("versions, deletions", ("MLflow version", "journal")),
)
_WIDTH, _HEIGHT, _GAP, _ROW, _TOP = 212, 34, 66, 46, 34  # pixels
WORDS = {
    "holds": "holds something of what was asked for",
    "kept": "holds something, and is in service",
    "unknown": "cannot be read any more: counts as holding",
    "destroyed": "destroyed by a purge",
    "free": "holds nothing of it",
}

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Lineage of {{ graph.asked }}</title>
<style>
:root { color-scheme: light dark; --ink: #1f2328; --quiet: #59636e; --page: #fff; --card: #f6f8fa; --line: #d1d9e0;
  --holds: #d55e00; --kept: #b3261e; --unknown: #b98300; --destroyed: #6e7781; --free: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa4af; --page: #14181d; --card: #1d232a;
  --line: #38414b; --holds: #ff9d5c; --kept: #ff8a80; --unknown: #f0c04a; --destroyed: #9aa4af; --free: #6cb8ea; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 84rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p.quiet, li { color: var(--quiet); font-size: .875rem; } .scroll { overflow-x: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.small { font-size: 10.5px; fill: var(--quiet); }
svg text.head { font-weight: 600; } svg path { fill: none; stroke: var(--line); stroke-width: 1.2; }
svg path.holds { stroke: var(--holds); } rect { fill: var(--card); stroke: var(--tone); stroke-width: 1.6; }
rect.destroyed { stroke-dasharray: 4 3; } rect.kept { stroke-width: 3; }
{% for state in words %}.{{ state }} { --tone: var(--{{ state }}); } {% endfor %}
.key { display: inline-block; width: .8rem; height: .8rem; border: 2px solid var(--tone); margin-right: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.what { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>Lineage of {{ graph.asked }}</h1>
<p class="quiet">{{ holding }} of {{ graph.nodes | length }} things hold something. Kinds that are not followed here,
and in which a purge looks: {{ graph.elsewhere | join(", ") }}.</p>
<ul>{% for state, meaning in words.items() %}
<li><span class="key {{ state }}"></span>{{ meaning }}</li>{% endfor %}</ul>
<div class="scroll"><svg role="img" aria-label="Lineage" width="{{ width }}" height="{{ height }}">
{% for x, title in heads %}<text class="head" x="{{ x }}" y="18">{{ title }}</text>
{% endfor %}{% for line in lines %}<path class="{{ line.state }}" d="{{ line.d }}"><title>{{ line.said }}</title></path>
{% endfor %}{% for box in boxes %}<g><title>{{ box.node.id }}: {{ words[box.node.state] }}</title>
<rect class="{{ box.node.state }}" x="{{ box.x }}" y="{{ box.y }}"
  width="{{ box_width }}" height="{{ box_height }}" rx="5"/>
<text x="{{ box.x + 8 }}" y="{{ box.y + 14 }}">{{ box.name }}</text>
<text class="small" x="{{ box.x + 8 }}" y="{{ box.y + 28 }}">{{ box.node.said[:38] }}</text></g>
{% endfor %}</svg></div>
<h2>All of it</h2>
<div class="scroll"><table><thead><tr><th>kind</th><th>what</th><th>state</th><th></th></tr></thead>
<tbody>{% for node in graph.nodes %}<tr><td>{{ node.kind }}</td><td class="what">{{ node.id }}</td>
<td><span class="key {{ node.state }}"></span>{{ node.state }}</td><td>{{ node.said }}</td></tr>
{% endfor %}</tbody></table></div>
</body>
</html>
"""


class _Box(NamedTuple):
    node: Node
    name: str
    x: int
    y: int


def page(graph: Graph) -> str:
    """The page as HTML, everything escaped. No request leaves it."""
    from jinja2 import Environment, StrictUndefined

    boxes = _boxes(graph)
    rows = max((box.y for box in boxes.values()), default=_TOP)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(TEMPLATE).render(
        graph=graph,
        words=WORDS,
        holding=sum(node.state in ("holds", "kept", "unknown") for node in graph.nodes),
        boxes=boxes.values(),
        lines=_lines(graph, boxes),
        heads=[(_left(column), title) for column, (title, _) in enumerate(_COLUMNS)],
        width=_left(len(_COLUMNS)) - _GAP + 2,
        height=rows + _HEIGHT + 8,
        box_width=_WIDTH,
        box_height=_HEIGHT,
    )


def _boxes(graph: Graph) -> dict[str, _Box]:
    """A box for each node, in the column of its kind, below one another."""
    found: dict[str, _Box] = {}
    for column, (_, kinds) in enumerate(_COLUMNS):
        here = [node for kind in kinds for node in graph.nodes if node.kind == kind]
        for row, node in enumerate(here):
            found[node.id] = _Box(node, _name(node), _left(column), _TOP + row * _ROW)
    return found


def _lines(graph: Graph, boxes: dict[str, _Box]) -> list[dict[str, str]]:
    """A curve for each edge; coloured where both ends hold something."""
    found = []
    for edge in graph.edges:
        ends = sorted((boxes[edge.source], boxes[edge.target]), key=lambda box: (box.x, box.y))
        both = all(box.node.state in ("holds", "kept") for box in ends)
        said = f"{edge.source} {edge.relation} {edge.target}"
        found.append({"d": _curve(*ends), "state": "holds" if both else "", "said": said})
    return sorted(found, key=lambda line: line["state"])  # the coloured ones are drawn last


def _curve(first: _Box, second: _Box) -> str:
    y1, y2 = first.y + _HEIGHT // 2, second.y + _HEIGHT // 2
    x1 = first.x + _WIDTH
    if first.x == second.x:  # in one column: around its right side
        bend = x1 + min(_GAP - 12, 14 + abs(y2 - y1) // 8)
        return f"M{x1} {y1} C{bend} {y1} {bend} {y2} {x1} {y2}"
    middle = (x1 + second.x) // 2
    return f"M{x1} {y1} C{middle} {y1} {middle} {y2} {second.x} {y2}"


def _left(column: int) -> int:
    return column * (_WIDTH + _GAP) + 2


def _name(node: Node) -> str:
    """What a box says: kind and the first digits."""
    digits = node.id.rpartition("/")[2].removeprefix("request ").removeprefix("forget set ")
    return f"{node.kind} {digits[:8]}"
