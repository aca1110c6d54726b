import json
import re
from dataclasses import asdict
from html.parser import HTMLParser

import pytest

from tmu.audit.gate import Verdict, judge
from tmu.audit.people import people_report
from tmu.audit.report import report_page, write_audit
from tmu.audit.table import AuditResult, audit_table
from tmu.config import AuditConfig

GOLDS = ["gold", "second gold"]
VOID = {"meta", "img", "br"}


class Balanced(HTMLParser):
    """Fails on a tag closed out of turn and collects the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _parse(page):
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def audit(world):
    models = {**world.models(), "tmu": world.model(7, "retain")}
    probes = world.probes(models)
    result = audit_table(world.sets, models, GOLDS, {"tmu": 2.0}, 0, resamples=100, probes=probes)
    return result, models, judge(result, "tmu", AuditConfig(), weights_changed=True)


@pytest.fixture(scope="module")
def people(world, audit):
    subjects = [f"{number % 40:032x}" for number in range(200)]
    return people_report(subjects, world.sets, audit[1], GOLDS, "tmu", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, world, audit):
    result, models, verdict = audit
    folder = tmp_path_factory.mktemp("audit")
    provenance = {"dataset": "digits", "code": {"commit": "abc123"}}
    write_audit(
        folder, result, verdict, provenance, world.sets, models, method_row="tmu", ceiling={"auroc": {"mean": 0.71234}}
    )
    return folder


def test_audit_json_holds_everything_needed_to_show_the_audit_again(folder, audit):
    stored = json.loads((folder / "audit.json").read_text())
    assert AuditResult(stored["result"]) == audit[0]
    assert stored["verdict"] == {"row": "tmu", "outcome": "passed", **asdict(audit[2])}
    assert stored["provenance"]["code"]["commit"] == "abc123"
    assert stored["predictor"]["auroc"]["mean"] == 0.71234


def test_the_page_is_sound_html_and_asks_for_nothing_outside_itself(folder):
    page = (folder / "report.html").read_text()
    parser = _parse(page)
    assert len(parser.addresses) == 3
    assert all(address.startswith("data:image/svg+xml;base64,") for address in parser.addresses)
    assert not re.search(r"https?://|url\(|@import|<script", page)


def test_the_page_says_verdict_numbers_meanings_limits_and_provenance(folder, audit):
    text = "\n".join(_parse((folder / "report.html").read_text()).text)
    assert "tmu: passed" in text
    for reason in audit[2].reasons:
        assert reason in text
    for metric in audit[0].data["metrics"]:
        assert metric["meaning"] in text
    for expected in ("avg gap (pts) ↓", "code.commit", "abc123", "auroc.mean", "0.7123", "Not shown: that no trace"):
        assert expected in text


def test_a_failed_verdict_is_shown_as_failed(audit):
    reasons = ["failed: too far.", "passed: fine.", "inconclusive: too few."]
    page = report_page(audit[0], Verdict(False, reasons), {}, {}, method_row="tmu")
    assert "<strong>tmu: failed</strong>" in page
    assert [page.count(f'<li class="{word}">') for word in ("failed", "passed", "inconclusive")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("verdict", "word"),
    [(Verdict(True, []), "passed"), (Verdict(True, [], conclusive=False), "inconclusive"),
     (Verdict(False, []), "failed"), (Verdict(False, [], conclusive=False), "failed")],
)  # fmt: skip
def test_a_verdict_is_one_of_three_words(audit, verdict, word):
    assert verdict.as_json()["outcome"] == verdict.outcome == word
    assert f'<section class="verdict {word}">' in report_page(audit[0], verdict, {}, {}, method_row="tmu")


def _tables(page):
    """The text of every header cell by table, and every row's cells."""
    return [
        [re.sub(r"<[^>]+>", " ", cell).strip() for cell in re.findall(r"<th[^>]*scope=\"col\"[^>]*>(.*?)</th>", table)]
        for table in re.findall(r"<table>.*?</table>", page, flags=re.S)
    ]


def test_the_floor_stands_beside_every_number(audit):
    page = report_page(*_parts(audit), method_row="tmu")
    side, every = re.findall(r"<table>.*?</table>", page, flags=re.S)
    assert side.count('<tr class="floor">') == 1
    floor = re.search(r'<tr class="floor">.*?</tr>', side, flags=re.S).group()
    assert floor.count("<td>") == sum(metric["headline"] for metric in audit[0].data["metrics"]) + 1
    cells = [row.count("<td>") for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", every, flags=re.S)]
    assert cells == [1 + len(audit[0].rows)] * len(audit[0].data["metrics"])
    value = audit[0].floor("average_gap").value
    assert f"<td>{value:.1f}<span>" in floor


def test_an_audit_of_before_the_floor_is_shown_without_it(audit):
    data = {name: each for name, each in audit[0].data.items() if name != "floor"}
    page = report_page(AuditResult(data), audit[2], {}, {}, method_row="tmu")
    _parse(page)
    assert 'class="floor"' not in page


def _parts(audit):
    return audit[0], audit[2], {}, {}


def test_every_header_of_every_table_has_unit_and_direction(audit, people):
    side, persons, every = _tables(report_page(*_parts(audit), method_row="tmu", people=people))
    assert side[0] == "model"
    assert all("(" in each and each.endswith(("↓", "↑", "→ gold")) for each in side[1:])
    numbers = [each for each in persons[1:] if "detectable" not in each]
    assert all("(" in each for each in numbers) and len(numbers) == 7
    assert sum("→ floor" in each for each in persons) == 2
    assert every[0] == "number (unit) and direction" and every[1] == "noise floor"


def test_persons_are_on_the_page_by_their_place_alone(audit, people):
    page = report_page(*_parts(audit), method_row="tmu", people=people)
    text = "\n".join(_parse(page).text)
    assert "Evidence per person" in text and people["reason"] in text
    assert page.count('<th scope="row">1</th>') == 1 and page.count('<th scope="row">20</th>') == 1
    assert not re.search(r"[0-9a-f]{13,}", text)
    assert "Evidence per person" not in report_page(*_parts(audit), method_row="tmu")


def test_foreign_text_is_escaped(audit):
    verdict = Verdict(True, ["<script>alert(1)</script>"])
    page = report_page(audit[0], verdict, {"<b>": "<img src=x>"}, {}, method_row="tmu")
    assert "<script>" not in page and "<img" not in page and "&lt;script&gt;" in page


def test_the_same_audit_gives_the_same_bytes(tmp_path, folder, world, audit):
    result, models, verdict = audit
    provenance = {"dataset": "digits", "code": {"commit": "abc123"}}
    files = write_audit(
        tmp_path,
        result,
        verdict,
        provenance,
        world.sets,
        models,
        method_row="tmu",
        ceiling={"auroc": {"mean": 0.71234}},
    )
    assert {file.name for file in files} == {file.name for file in folder.iterdir()}
    for file in files:
        assert file.read_bytes() == (folder / file.name).read_bytes()
