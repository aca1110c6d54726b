"""The README's numbers are those of the stored results."""

from bench import results
from bench.readme import BEGIN, END, README, SUITE, measured


def test_the_readme_holds_exactly_what_the_stored_results_say() -> None:
    block = README.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert block == measured(results.read(SUITE))


def test_every_row_names_its_origin() -> None:
    rows = results.read(SUITE).to_pylist()
    assert rows
    for row in rows:
        assert row["command"].startswith("python -m bench ")
        assert row["hardware"]
        assert len(row["commit"]) == 40
        assert row["seconds"] is not None
