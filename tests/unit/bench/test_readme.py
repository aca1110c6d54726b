"""The README's numbers are those of the stored results."""

import pytest

from bench import results
from bench.readme import BEGIN, END, NATURAL, README, SUITE, measured


def test_the_readme_holds_exactly_what_the_stored_results_say() -> None:
    block = README.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert block == measured(results.read(SUITE), results.read(NATURAL))


@pytest.mark.parametrize("suite", [SUITE, NATURAL])
def test_every_row_names_its_origin(suite: str) -> None:
    rows = results.read(suite).to_pylist()
    assert rows
    for row in rows:
        assert row["command"].startswith("python -m bench ")
        assert row["hardware"]
        assert len(row["commit"]) == 40
        assert row["seconds"] is not None
