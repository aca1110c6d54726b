"""The page of the matrix says what is stored, red cells and missing ones included, and nothing else."""

from pathlib import Path

from bench import results
from tests.chaos import table


def row(stage: str, fault: str, metric: str, value: float) -> dict:
    origin = {"command": "c", "commit": "0", "hardware": "cores 2", "at": "2026-01-01T00:00:00+00:00"}
    return {"dataset": "digits", "forget_set": stage, "method": fault, "seed": 0, "metric": metric, "value": value,
            "unit": "", "seconds": 1.0, **origin}  # fmt: skip


def cell(stage: str, fault: str, survived: bool) -> list[dict]:
    values = {"survived": float(survived), "seconds_to_complete": 41.4, "attempts": 2.0}
    return [row(stage, fault, metric, value) for metric, value in values.items()]


def test_green_red_and_missing_cells_are_told_apart(tmp_path: Path) -> None:
    rows = cell("auditing", "flow", True) + cell("auditing", "disk", False) + cell("late", "beside", True)
    results.add(table.SUITE, rows, tmp_path)
    docs = tmp_path / "page.md"
    docs.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.render(tmp_path, docs)
    text = docs.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert "| 41 s, 2 |" in lines["kill -9 of the flow process"]
    assert lines["kill -9 of the flow process"].count("–") == 7
    assert "**red**" in lines["full disk"] and "41 s" not in lines["full disk"]
    assert "41 s, 2" in lines["a frozen attempt wakes up beside its successor"]
    assert "1 of 2 measured cells of the matrix are green (80 in all)" in text
    assert (tmp_path / "chaos.md").read_text().splitlines()[4:] == table.render(tmp_path, docs)


def test_nothing_stored_is_no_claim(tmp_path: Path) -> None:
    assert "0 of 0 measured cells" in table.render(tmp_path, tmp_path / "absent.md")[-1]
