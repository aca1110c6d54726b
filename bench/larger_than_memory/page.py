"""The page of the measurement."""

from typing import Any

from bench.larger_than_memory import loader
from bench.tables.markdown import grid
from tmu.data.info import buckets_for

COMMAND = "python -m bench.larger_than_memory"
_MILLION = 1_000_000
_LOADER = {
    "decode once": "decoding a shard's picture into .tmu/decoded, once",
    "read, page cache": "reading a picture of a batch, checksum included, in the page cache",
    "read, disk": "the same from the disk, wall time on a machine that others use",
    "gather in memory": "gathering it from a tensor",
    "step": "ResNet-18's step, one thread",
}


def page(found: dict[str, Any]) -> str:
    """Markdown."""
    rows, of = found["rows"], found["loader"]
    small = [row for row in rows if row["side"] != 224 and row["streamed"]]
    ratio = of["step"] / of["read, page cache"]
    return "\n".join(
        [
            "# larger than memory: measured results",
            "",
            f"Made by `{COMMAND}`; do not edit. Each verb in a process of its own, one thread: the most",
            "anonymous memory (what cannot be given back; pages of mapped files can), resident memory with them,",
            "processor seconds with those of child processes. A set of more than "
            f"{found['bound_mib']} MiB is streamed.",
            "Small network, one epoch, 30 records a person: what is measured is the way, not the model. A million is",
            "extrapolated: a straight line through the two sizes, which does not fall. A dash: not measured.",
            "It is an upper estimate for memory: an allocator settles within the first batches.",
            "",
            f"## All verbs, {small[0]['side']}x{small[0]['side']} pixels: MiB anonymous / resident",
            "",
            *_growth(small),
            "",
            *_deletions(found.get("deletions", {})),
            *_held(rows),
            "",
            *_large(rows),
            "",
            f"## The loader at 224 pixels: a step takes {ratio:.0f} times what reading its pictures takes",
            "",
            *grid(
                ("a record, one thread", "milliseconds"),
                [(said, f"{of[name]:.3f}") for name, said in _LOADER.items()],
            ),
            "",
            f"The same steps, streamed over in memory, processor seconds: {of['step, streamed over in memory']:.2f}.",
            "",
            f"All else: {_measured(found)}",
            "",
        ]
    )


def _growth(rows: list[dict[str, Any]]) -> list[str]:
    """Verbs by size, and a million."""
    sizes = sorted({row["records"] for row in rows})
    cells = []
    for verb in dict.fromkeys(row["verb"] for row in rows):
        of = {row["records"]: row for row in rows if row["verb"] == verb}
        there = [of.get(size) for size in sizes]
        memory = [f"{row['anonymous_mib']:.0f} / {row['resident_mib']:.0f}" if row else "-" for row in there]
        seconds = [f"{row['cpu_seconds']:.1f}" if row else "-" for row in there]
        ends = (of[min(of)], of[max(of)])
        far = [_far(ends, name) for name in ("anonymous_mib", "cpu_seconds")]
        cells.append((verb, *memory, far[0], *seconds, far[1]))
    heads = [f"{size:,}" for size in sizes]
    header = ("verb", *(f"MiB, {each}" for each in heads), "a million", *(f"s, {each}" for each in heads), "a million")
    return grid(header, cells)


def _deletions(found: dict[str, dict[str, Any]]) -> list[str]:
    """A deletion and what leads to it, by number of records, each in one workspace; empty without one."""
    if not found:
        return []
    sizes = sorted(found, key=int)
    commands = ", ".join(f"`{COMMAND} --deletion {size}`" for size in sizes)
    return [
        "## A deletion and what leads to it, in one run each: MiB anonymous / resident",
        "",
        f"{commands}.",
        "",
        *_growth([row for size in sizes for row in found[size]["rows"]]),
        "",
        *(f"{int(size):,}: {_measured(found[size])}" for size in sizes),
        "",
    ]


def _measured(of: dict[str, Any]) -> str:
    return f"commit {of['commit'][:12]}, {of['at']}, on: {of['hardware']}."


def _far(ends: tuple[dict[str, Any], dict[str, Any]], name: str) -> str:
    """At a million, on the straight line; where less is measured at the larger size, that."""
    if ends[0] is ends[1]:
        return "-"
    return f"{_line([(row['records'], row[name]) for row in ends], _MILLION):,.0f}"


def _held(rows: list[dict[str, Any]]) -> list[str]:
    """The same training with the pictures in memory."""
    trained = [row for row in rows if row["verb"] == "train"]
    cells = [
        (
            f"{size:,} records, {size * 3 * each['side'] ** 2 / 2**20:.0f} MiB of pictures",
            *(f"{row['anonymous_mib']:.0f}" for row in (each, other)),
            f"{each['cpu_seconds'] / other['cpu_seconds']:.2f}",
        )
        for each in trained
        if each["streamed"]
        for other in trained
        if not other["streamed"] and (size := each["records"]) == other["records"]
    ]
    header = ("training", "MiB streamed", "MiB in memory", "processor seconds, streamed over in memory")
    return ["## Training, the pictures streamed and in memory", "", *grid(header, cells)]


def _large(rows: list[dict[str, Any]]) -> list[str]:
    """Import, plan and erasure of large pictures; a million by the size of a shard."""
    large = [row for row in rows if row["side"] == loader.SIDE]
    cells = []
    for verb in dict.fromkeys(row["verb"] for row in large):
        of = [row for row in large if row["verb"] == verb]
        cells += [
            (verb, f"{row['records']:,}", f"{row['anonymous_mib']:.0f}", f"{row['cpu_seconds']:.1f}") for row in of
        ]
        if len(of) > 1:
            ends = (of[0], of[-1])
            memory = _line([(_shard_mib(row["records"]), row["anonymous_mib"]) for row in ends], _shard_mib(_MILLION))
            cells.append((verb, "a million, extrapolated", f"{memory:,.0f}", _far(ends, "cpu_seconds")))
    said = f"## 224x224 pixels; of a million a shard has {_shard_mib(_MILLION):.0f} MiB of pixels"
    return [said, "", *grid(("verb", "records", "MiB anonymous", "processor seconds"), cells)]


def _shard_mib(records: int) -> float:
    width = 3 * loader.SIDE**2
    return records * width / buckets_for(records, width) / 2**20


def _line(ends: list[tuple[float, float]], at: float) -> float:
    """Where the straight line through two points is at another place; it does not fall."""
    (x, y), (far, high) = ends
    return high + max((high - y) / (far - x), 0.0) * (at - far)
