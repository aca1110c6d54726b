"""What Prefect's page shows of an audit: the headline numbers, each with unit, direction and interval."""

import pytest

METRICS = [
    {"name": "ua", "title": "UA", "unit": "%", "better": "gold", "headline": True},
    {"name": "quiet", "title": "quiet", "unit": "%", "better": "lower", "headline": False},
]
CELL = {"value": 5.25, "low": 4.0, "high": 6.5}
ROWS = [{"name": name, "seconds": 3.0, "metrics": {"ua": CELL, "quiet": CELL}} for name in ("gold", "tmu")]
RESULT = {
    "metrics": METRICS,
    "rows": ROWS,
    "records": {"forget": 10, "retain": 90, "test": 50},
    "resamples": 100,
    "golds": ["gold"],
}


@pytest.mark.parametrize(
    ("passed", "conclusive", "words"),
    [
        (True, True, "tmu: passed"),
        (False, True, "tmu: failed"),
        (True, False, "tmu: inconclusive"),
    ],
)
def test_the_audit_on_the_run_page(
    prefect_server: dict, monkeypatch: pytest.MonkeyPatch, passed: bool, conclusive: bool, words: str
) -> None:
    """The server is not asked; its fixture sets Prefect up before it is imported."""
    from flows import report

    made = []
    monkeypatch.setattr(report, "inside_run", lambda: True)
    monkeypatch.setattr(report, "create_markdown_artifact", lambda **given: made.append(given))
    report.show_audit({"result": RESULT, "verdict": {"row": "tmu", "passed": passed, "conclusive": conclusive}})
    (shown,) = made
    assert (shown["key"], shown["description"]) == ("audit", words)
    lines = shown["markdown"].splitlines()
    assert lines[:2] == ["| model | gold | tmu |", "| --- | ---: | ---: |"]
    assert lines[2] == "| UA (%) → gold | 5.2 (4.0 to 6.5) | 5.2 (4.0 to 6.5) |"
    assert lines[3:5] == ["| cost (s) ↓ | 3.0 | 3.0 |", ""]
