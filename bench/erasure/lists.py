"""The two lists as Markdown: what the search found before the purge and after it."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.erasure.scenario import Lists

_LONG = re.compile(r"[0-9a-f]{24,}")
_HEAD = {
    "before": "# What the independent search finds before the purge",
    "after": "# What the independent search finds after the purge",
}


def write(folder: Path, lists: Sequence[Lists], date: str) -> list[Path]:
    """Write `erasure-search-before.md` and `erasure-search-after.md` into `folder`."""
    pages = {when: folder / f"erasure-search-{when}.md" for when in _HEAD}
    for when, page in pages.items():
        page.write_text(_page(when, lists, date))
    return list(pages.values())


def _page(when: str, lists: Sequence[Lists], date: str) -> str:
    about = (
        "One person with ten pictures was planted among the digits, learned, and deleted through the ledger "
        f"(`python -m bench.erasure`, {date}). How the search works: [erasure-search.md](erasure-search.md)."
    )
    parts = [_HEAD[when], about]
    for each in lists:
        report = each.before if when == "before" else each.after
        parts += [f"## {each.ground}", *_section(report)]
    return "\n\n".join(parts) + "\n"


def _section(report: dict[str, Any]) -> Iterable[str]:
    sought = report["needles"]
    left = sum(not hit["why"] for hit in report["hits"])
    yield (
        f"Outcome: **{report['outcome']}**. {left} hits, {len(report['hits']) - left} declared. "
        f"Looked for {sought['keys']} keys, {sought['ids']} ids, {sought['files']} encoded and "
        f"{sought['pictures']} decoded pictures. Credentials: {report['principal']['credentials']}."
    )
    yield _stores(report)
    if report["hits"]:
        yield _hits(report["hits"])
    yield _models(report["models"])
    if report["old_versions"]:
        answers = sorted({each["answer"] for each in report["old_versions"]})
        yield f"{len(report['old_versions'])} old versions that held something were asked for: {', '.join(answers)}."
    yield from (f"Not looked at: {_short(each['address'])}: {each['why']}." for each in report["not_looked_at"])


def _stores(report: dict[str, Any]) -> str:
    hits, rows = report["hits_by_haystack"], []
    for each in report["haystacks"]:
        numbers = (each["things"], each["bytes"], each["opened"], each["images"], hits[each["name"]])
        rows.append([each["name"], *(f"{number:,}" for number in numbers)])
    return _table(("store", "things", "bytes", "parts opened", "pictures compared", "hits"), rows)


def _hits(hits: list[dict[str, Any]]) -> str:
    rows = [
        [
            hit["haystack"],
            _place(hit),
            hit["inside"] or "bytes as they lie",
            f"{hit['by']} ({hit['needles']})",
            hit["why"].partition(":")[0],
        ]
        for hit in hits
    ]
    return _table(("store", "address", "inside", "by", "declared"), rows)


def _models(models: list[dict[str, Any]]) -> str:
    rows = [
        [each["weights"][:8], each["role"], f"**{each['learned']}**", each["why"] or each["source"],
         "<br>".join(f"`{_short(name)}`" for name in each["names"])]
        for each in models
    ]  # fmt: skip
    return _table(("weights", "role", "learned the person", "because", "loads from"), rows)


def _place(hit: dict[str, Any]) -> str:
    version = f" (version {hit['version'][:8]}…)" if hit["version"] else ""
    return f"`{_short(hit['address'])}`{version}"


def _short(address: str) -> str:
    """Without the scenario's folder, and long digests by their beginning."""
    address = re.sub(r"^/.*?/(remote|tmp)/", r"\1/", address)
    return _LONG.sub(lambda match: f"{match[0][:8]}…", address)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
