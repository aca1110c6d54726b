"""Markdown pieces that all sections share."""

from collections.abc import Sequence

from bench.tables.cells import EXACT, FLOOR, GOLD, ORIGINAL, RANDOM_CHOICE, Cells

_LABELS = {
    GOLD: "gold",
    FLOOR: "second gold, the floor",
    ORIGINAL: "original, nothing done",
    EXACT: "`exact-head`, beside golds with a ridge head",
    RANDOM_CHOICE: "random choice, control",
}


def grid(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table: first column left, the others right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (header, rule, *lines)]


def label(row: str) -> str:
    """A row's name for a reader: controls in words, methods and ablations as code."""
    return _LABELS.get(row, f"`{row}`")


def label_with_gaps(cells: Cells, forget_set: str, row: str) -> str:
    """The label, with what is missing: refused seeds, or seeds that were not measured yet."""
    seeds, refused = cells.seeds(forget_set), cells.refused(forget_set, row)
    if refused:
        return f"{label(row)}: refused on {len(refused)} of {len(seeds)} seeds"
    missing = [seed for seed in seeds if seed not in cells.measured[forget_set][row]]
    return f"{label(row)}: {len(seeds) - len(missing)} of {len(seeds)} seeds so far" if missing else label(row)


def bold(text: str) -> str:
    """The text in bold."""
    return f"**{text}**"


def listed(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    shown = [label(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
