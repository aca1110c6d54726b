"""The page of what verbs take on sets larger than memory is that of its stored numbers."""

import json

from bench import results
from bench.larger_than_memory.page import page

STORED = results.FOLDER / "larger-than-memory"


def test_the_page_holds_exactly_what_is_stored():
    assert page(json.loads(STORED.with_suffix(".json").read_text())) == STORED.with_suffix(".md").read_text()


def test_a_deletion_measured_by_itself_is_extrapolated_through_two_runs():
    found = json.loads(STORED.with_suffix(".json").read_text())
    few = next(row for row in found["rows"] if (row["verb"], row["records"], row["side"]) == ("delete", 10_000, 24))
    many = few | {"records": 100_000, "cpu_seconds": few["cpu_seconds"] + 9, "anonymous_mib": few["anonymous_mib"]}
    text = page(found | {"deletion": {"rows": [many], "commit": "c" * 40, "at": "then", "hardware": "here"}})
    section = text.split("## A deletion at 100,000 records")[1].split("##")[0]
    assert "--deletion 100000" in section and "Commit cccccccccccc, then, on: here." in section
    line = next(line for line in section.splitlines() if line.startswith("| delete"))
    assert line.endswith(f"| {few['cpu_seconds'] + 99:,.0f} |")  # nine more for each ninety thousand
    assert "## A deletion" not in page({name: value for name, value in found.items() if name != "deletion"})
