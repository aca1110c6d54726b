"""`tmu bench` passes what is typed on to the benchmark, and `python -m bench` is the same."""

import json

import pytest
from typer.testing import CliRunner

from bench import cli
from bench import suite as suites
from tmu.cli import app, flow


@pytest.fixture
def call(monkeypatch):
    """Runs `tmu bench ...` as an installed entry point would."""
    monkeypatch.setattr(flow, "load", {"bench": cli.run}.__getitem__)
    return lambda *words: CliRunner().invoke(app, ["bench", *words])


def test_the_suites_are_listed(call):
    result = call("--list", "--json")
    assert {each["suite"] for each in json.loads(result.stdout)} == {*suites.names(), "gpu-speed"}
    assert all(name in call("--list").stdout for name in ("smoke", "gpu-speed"))


def test_status_counts_cells(call):
    entries = json.loads(call("cpu-small", "--status", "--json").stdout)
    suite = suites.load("cpu-small")
    assert [entry["forget_set"] for entry in entries] == [
        *suite.forget_sets,
        *(f"verdict/{n}" for n in suite.forget_sets),
    ]
    for entry in entries:
        rows = sum(row.runs_on(entry["forget_set"]) for row in suite.methods.values())
        cells = len(suite.seeds) * (rows + 4)  # three controls and the predictor
        if entry["forget_set"].startswith("verdict/"):
            cells = len(suite.verdicts.seeds) * (len(suite.verdicts.methods) + 3)  # retrain, nothing done, half-way
        assert entry["done"] + entry["missing"] == cells


def test_the_help_is_that_of_the_benchmark(call):
    assert "--minutes" in call("--help").stdout
    assert "bench" in CliRunner().invoke(app, ["--help"]).stdout


@pytest.mark.parametrize(("words", "code"), [(["no-such-suite"], 2), (["smoke", "--jobs", "0"], 2), (["--nope"], 2)])
def test_a_wrong_call_says_so(call, words, code):
    assert call(*words).exit_code == code


def test_a_failed_task_fails_the_call(call, monkeypatch):
    summary = {"failed": {"gold 1": "no"}, "skipped": {}, "refused": [], "complete": False}
    summary |= {"done": 0, "cells": 1, "seconds": 0.0, "results": "x"}
    monkeypatch.setattr("bench.runner.start.start", lambda wish: summary)
    result = call("smoke")
    assert result.exit_code == 1
    assert "failed: gold 1: no" in result.stdout
    assert json.loads(call("smoke", "--json").stdout)["failed"]
    summary["failed"] = {}
    assert call("smoke").exit_code == 0
