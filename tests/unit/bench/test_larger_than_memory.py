"""The page of what verbs take on sets larger than memory is that of its stored numbers."""

import json

from bench import results
from bench.larger_than_memory.page import page

STORED = results.FOLDER / "larger-than-memory"


def test_the_page_holds_exactly_what_is_stored():
    assert page(json.loads(STORED.with_suffix(".json").read_text())) == STORED.with_suffix(".md").read_text()


def test_a_deletion_is_extrapolated_through_the_runs_that_there_are():
    found = json.loads(STORED.with_suffix(".json").read_text())
    few = {"verb": "delete", "records": 10_000, "side": 24, "streamed": True, "anonymous_mib": 500.0}
    few |= {"resident_mib": 700.0, "cpu_seconds": 50.0}
    about = {"commit": "c" * 40, "at": "then", "hardware": "here"}
    runs = {
        "100000": {"rows": [few | {"records": 100_000, "cpu_seconds": 59.0}], **about},
        "10000": {"rows": [few], **about},
    }
    section = page(found | {"deletions": runs}).split("## A deletion and what")[1].split("##")[0]
    assert "--deletion 10000`" in section and "100,000: commit cccccccccccc, then, on: here." in section
    line = next(line for line in section.splitlines() if line.startswith("| delete"))
    assert line.endswith("| 500 | 50.0 | 59.0 | 149 |")  # nine more for each ninety thousand
    assert "## A deletion" not in page({name: value for name, value in found.items() if name != "deletions"})
