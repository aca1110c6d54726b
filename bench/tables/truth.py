"""The verdict without golds against the truth: false alarms, what is caught by size and references, agreement."""

from collections.abc import Iterable, Sequence

from bench.tables.cells import FLOOR, ORIGINAL, VERDICT, Cells
from bench.tables.markdown import grid, label
from tmu.audit.render import NONE

HALF_WAY, HEAD_ONLY, NEVER_STEP = "half-way", "head-only", "never-step"
GUILTY = (ORIGINAL, HALF_WAY, HEAD_ONLY, NEVER_STEP)  # controls that must not pass
OUTCOMES = ("passed", "inconclusive", "failed")
_READ = (
    "The audit against the references' table, beside the gate that has golds. Convicted: at a false-alarm rate of 1 %. "
    "Both are told that the weights differ, so that a verdict rests on answers alone. `half-way`: the middle of the "
    "original's and the unlearned weights."
)
_SIZES = "Requests by number of records: convicted / failed when audited alone."
_RULE = "rules/"
_WHOLE = "Whole forget sets, seeds by outcome (p, i, f): without golds / with golds."


def truth(cells: Cells) -> list[str]:
    """False alarms, the curve, agreement; empty without verdicts."""
    sets = cells.verdicts()
    if not sets:
        return []
    lines = ["### The verdict without golds against the truth", "", _READ, "", *_alarms(cells, sets), ""]
    for pairs in pairs_of(cells, sets):
        lines += [*_by_size(cells, sets, pairs), ""]
    return [*lines, *_agreement(cells, sets), "", *_whole(cells, sets), "", *_cost(cells, sets)]


def share(cells: Cells, sets: Iterable[str], row: str, name: str, what: str = "found") -> tuple[float, int] | None:
    """(share, number of requests) over forget sets and seeds, each counted by its requests; None where none was."""
    hits = total = 0.0
    for forget_set in sets:
        counts = cells.values(forget_set, row, f"{name}/count")
        for seed, found in cells.values(forget_set, row, f"{name}/{what}").items():
            hits, total = hits + found * counts[seed], total + counts[seed]
    return (hits / total, round(total)) if total else None


def sizes_of(cells: Cells, sets: Iterable[str], pairs: int) -> list[int]:
    """Sizes of the requests that were drawn, ascending."""
    return sorted({size for size, found in _drawn(cells, sets) if found == pairs})


def pairs_of(cells: Cells, sets: Iterable[str]) -> list[int]:
    """Numbers of pairs of references, ascending."""
    return sorted({pairs for _, pairs in _drawn(cells, sets)})


def rows_of(cells: Cells, sets: Iterable[str]) -> list[str]:
    """Honest retrains first, then the controls that must not pass, then methods."""
    found = {row for name in sets for row in cells.measured[name]}
    first = [row for row in (FLOOR, *GUILTY) if row in found]
    return [*first, *sorted(found - set(first))]


def _drawn(cells: Cells, sets: Iterable[str]) -> set[tuple[int, int]]:
    wanted = set(sets)
    names = (metric.split("/") for name, _, metric in cells.numbers if name in wanted)
    return {(int(n[1]), int(n[2])) for n in names if n[0] == "requests" and n[-1] == "found"}


def _alarms(cells: Cells, sets: Sequence[str]) -> list[str]:
    """Honest retrains: how many of those who were forgotten are convicted all the same."""
    parts, by = [], {}
    for pairs in pairs_of(cells, sets):
        for size in sizes_of(cells, sets, pairs):
            by[pairs, size] = share(cells, sets, FLOOR, f"requests/{size}/{pairs}")
    people = share(cells, sets, FLOOR, "people")
    if people is not None:
        parts.append(f"of the people in the forget sets {_percent(people)}")
    for pairs in pairs_of(cells, sets):
        known = [each for (p, _), each in by.items() if p == pairs and each]
        if known:
            total = sum(count for _, count in known)
            parts.append(f"of drawn requests, R = {pairs}, {_percent((sum(s * c for s, c in known) / total, total))}")
    return [f"False alarms on honest retrains, aim 1 %: {'; '.join(parts)}."] if parts else []


def caught(cells: Cells, sets: Iterable[str], row: str, size: int, pairs: int) -> tuple[float, int] | None:
    """Share of the requests that fail when each is audited alone."""
    return share(cells, sets, row, f"alone/{size}/{pairs}", "failed")


def _by_size(cells: Cells, sets: Sequence[str], pairs: int) -> list[str]:
    sizes = sizes_of(cells, sets, pairs)
    lines = []
    for row in rows_of(cells, sets):
        drawn = [share(cells, sets, row, f"requests/{size}/{pairs}") for size in sizes]
        alone = [caught(cells, sets, row, size, pairs) for size in sizes]
        if any(drawn):
            lines.append([_label(row), *(_pair(*each) for each in zip(drawn, alone, strict=True))])
    head = [f"R = {pairs}, all forget sets", *(f"{n} record{'s' * (n > 1)}" for n in sizes)]
    return [_SIZES, "", *grid(head, lines)]


def _pair(drawn: tuple[float, int] | None, alone: tuple[float, int] | None) -> str:
    return " / ".join(NONE if each is None else _percent(each) for each in (drawn, alone))


def _agreement(cells: Cells, sets: Sequence[str]) -> list[str]:
    """Cells by both outcomes."""
    counts = dict.fromkeys(((a, b) for a in OUTCOMES for b in OUTCOMES), 0)
    for name in sets:
        for row in cells.measured[name]:
            for seed in cells.values(name, row, "table/passed"):
                counts[_said(cells, name, row, "table", seed), _said(cells, name, row, "golds", seed)] += 1
    total, agreed = sum(counts.values()), sum(counts[each, each] for each in OUTCOMES)
    lines = [[f"without golds: {a}", *(str(counts[a, b]) for b in OUTCOMES)] for a in OUTCOMES]
    return [*grid(["verdicts", *(f"with golds: {b}" for b in OUTCOMES)], lines), "", f"Agreed: {agreed} of {total}."]


def _whole(cells: Cells, sets: Sequence[str]) -> list[str]:
    """Whole forget sets: the outcomes over seeds, without golds / with golds."""
    lines = []
    for row in rows_of(cells, sets):
        texts = [f"{_outcomes(cells, name, row, 'table')} / {_outcomes(cells, name, row, 'golds')}" for name in sets]
        if any(text != f"{NONE} / {NONE}" for text in texts):
            lines.append([_label(row), *texts, _broken(cells, sets, row)])
    names = [name.removeprefix(VERDICT) for name in sets]
    return [_WHOLE, "", *grid(["row", *names, "rules that failed"], lines)]


def _broken(cells: Cells, sets: Sequence[str], row: str) -> str:
    """The rules of the audit without golds that failed, the most frequent first."""
    counts: dict[str, float] = {}
    for name, method, metric in cells.numbers:
        if name in sets and method == row and metric.startswith(_RULE):
            rule, failed = metric.removeprefix(_RULE), sum(cells.numbers[name, method, metric].values())
            counts[rule] = counts.get(rule, 0.0) + failed
    order = sorted((rule for rule, count in counts.items() if count), key=lambda rule: (-counts[rule], rule))
    return ", ".join(f"{rule} {counts[rule]:.0f}" for rule in order) or NONE


def _cost(cells: Cells, sets: Sequence[str]) -> list[str]:
    """What one audit costs."""
    found = [v for name in sets for row in cells.measured[name] for v in _costs(cells, name, row)]
    if not found:
        return []
    return [f"An audit without golds costs {sum(found) / len(found):.3f} retrainings (largest {max(found):.3f}).", ""]


def _costs(cells: Cells, name: str, row: str) -> list[float]:
    return list(cells.values(name, row, "seconds_ratio_audit").values())


def _said(cells: Cells, name: str, row: str, who: str, seed: int) -> str:
    return next(each for each in OUTCOMES if cells.values(name, row, f"{who}/{each}").get(seed))


def _outcomes(cells: Cells, name: str, row: str, who: str) -> str:
    counts = {each: sum(cells.values(name, row, f"{who}/{each}").values()) for each in OUTCOMES}
    return " ".join(f"{count:.0f}{each[0]}" for each, count in counts.items() if count) or NONE


def _label(row: str) -> str:
    return "honest retrain" if row == FLOOR else label(row)


def _percent(found: tuple[float, int]) -> str:
    return f"{100 * found[0]:.1f} % of {found[1]}"
