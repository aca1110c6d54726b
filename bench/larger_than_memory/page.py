"""The page of the measurement."""

from typing import Any

from bench.tables.markdown import grid

COMMAND = "python -m bench.larger_than_memory"
_MILLION = 1_000_000
_LOADER = {
    "decode once": "decoding a shard's picture into .tmu/decoded, once",
    "read, page cache": "reading a picture of a batch, checksum included, in the page cache",
    "read, disk": "the same from the disk",
    "gather in memory": "gathering it from a tensor",
    "step": "ResNet-18's step, one thread",
}


def page(found: dict[str, Any]) -> str:
    """Markdown."""
    rows, loader = found["rows"], found["loader"]
    small = [row for row in rows if row["side"] != 224 and row["streamed"]]
    ratio = loader["step"] / loader["read, disk"]
    return "\n".join(
        [
            "# larger than memory: measured results",
            "",
            f"Made by `{COMMAND}`; do not edit. Each verb in a process of its own, one thread: the most",
            "anonymous memory (what cannot be given back; pages of mapped files can), resident memory with them,",
            "processor seconds with those of child processes. A set of more than "
            f"{found['bound_mib']} MiB is streamed.",
            "Small network, one epoch, 30 records a person: what is measured is the way, not the model. A million is",
            "extrapolated: a straight line through the two sizes.",
            "",
            *_growth(small),
            "",
            *_held(rows),
            "",
            *_large(rows),
            "",
            f"## The loader at 224 pixels: a step takes {ratio:.0f} times what reading its pictures takes",
            "",
            *grid(("a record", "milliseconds"), [(said, f"{loader[name]:.3f}") for name, said in _LOADER.items()]),
            "",
            "The same steps, streamed over in memory, processor seconds: "
            f"{loader['step, streamed over in memory']:.2f}.",
            "",
            f"Commit {found['commit'][:12]}, {found['at']}, on: {found['hardware']}.",
            "",
        ]
    )


def _growth(rows: list[dict[str, Any]]) -> list[str]:
    """Verbs by size, and a million."""
    sizes = sorted({row["records"] for row in rows})
    cells = []
    for verb in dict.fromkeys(row["verb"] for row in rows):
        of = {row["records"]: row for row in rows if row["verb"] == verb}
        memory = [f"{of[size]['anonymous_mib']:.0f} / {of[size]['resident_mib']:.0f}" for size in sizes]
        seconds = [f"{of[size]['cpu_seconds']:.1f}" for size in sizes]
        ends = [of[sizes[0]], of[sizes[-1]]]
        cells.append(
            (verb, *memory, f"{_far(ends, 'anonymous_mib'):.0f}", *seconds, f"{_far(ends, 'cpu_seconds'):.0f}")
        )
    heads = [f"{size:,}" for size in sizes]
    header = ("verb", *(f"MiB, {each}" for each in heads), "a million", *(f"s, {each}" for each in heads), "a million")
    side = rows[0]["side"]
    return [f"## All verbs, {side}x{side} pixels: MiB anonymous / resident", "", *grid(header, cells)]


def _far(ends: list[dict[str, Any]], name: str) -> float:
    first, last = ends
    if first is last:
        return float("nan")
    slope = (last[name] - first[name]) / (last["records"] - first["records"])
    return float(last[name] + slope * (_MILLION - last["records"]))


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
    """Import, plan and erasure of large pictures."""
    cells = [
        (row["verb"], f"{row['records']:,}", f"{row['anonymous_mib']:.0f}", f"{row['cpu_seconds']:.1f}")
        for row in rows
        if row["side"] == 224
    ]
    return ["## 224x224 pixels", "", *grid(("verb", "records", "MiB anonymous", "processor seconds"), cells)]
