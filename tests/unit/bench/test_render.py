"""A whole suite rendered from made-up results: files, order, determinism, what is left out."""

import re
from pathlib import Path

import pytest

from bench import render, results
from tests.result_tables import row, suite, table


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    results.add("s", suite(), folder)
    return render.render("s", folder)


def test_every_figure_that_is_shown_exists_and_every_file_is_shown(rendered: Path) -> None:
    shown = set(re.findall(r"!\[[^\]]+\]\(([^)]+)\)", rendered.read_text()))
    assert shown == {path.name for path in rendered.parent.glob("*.png")}
    kinds = {name.removeprefix("s-").removesuffix(".png") for name in shown}
    assert kinds == {
        *("heatmap", "tradeoff", "stream", "reliability", "klom"),
        *("densities-random-10", "densities-whole-class"),
    }


def test_the_page_has_its_sections_in_order(rendered: Path) -> None:
    heads = re.findall(r"^### (.*)$", rendered.read_text(), flags=re.M)
    assert heads == [
        *("All forget sets", "random-10, 3 seeds", "whole-class, 3 seeds", "Ablations", "Successive deletions"),
        *("Predicting which records a gold gets wrong (AUROC)", "Fleets of models", "Cost"),
    ]


def test_the_order_of_the_stored_rows_changes_no_byte_of_the_page(rendered: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(render, "png", lambda figure, dpi: b"")
    monkeypatch.setattr(results, "read", lambda name, folder=None: table(suite()[::-1]))
    assert render.render("s", tmp_path).read_bytes() == rendered.read_bytes()


def test_two_datasets_do_not_share_figures(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(render, "png", lambda figure, dpi: b"")
    made = [
        row("tmu-soft", m, 0.5, s, dataset=d)
        for d in ("a", "b")
        for s in (0, 1)
        for m in ("klom_forget", "average_gap")
    ]
    results.add("s", made, tmp_path)
    text = render.render("s", tmp_path).read_text()
    assert {path.name for path in tmp_path.glob("*.png")} == {"s-a-klom.png", "s-b-klom.png"}
    assert text.index("## a") < text.index("s-a-klom.png") < text.index("## b") < text.index("s-b-klom.png")


@pytest.mark.parametrize(
    "metric", ["ua", "average_gap", "klom_forget", "seconds_ratio_alone", "density_forget/03", "refused"]
)
@pytest.mark.parametrize("method", ["tmu-soft", "gold", "second gold", "ssd", "tmu-soft/x", "twin"])
@pytest.mark.parametrize("forget_set", ["random-10", "stream/01", "a new one"])
def test_a_single_number_never_crashes_the_page(tmp_path, monkeypatch, metric, method, forget_set) -> None:
    monkeypatch.setattr(render, "png", lambda figure, dpi: b"")
    results.add("s", [row(method, metric, 1.0, forget_set=forget_set)], tmp_path)
    assert render.render("s", tmp_path).read_text().startswith("# s: measured results")
