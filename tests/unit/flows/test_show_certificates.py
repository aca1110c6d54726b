"""The page of a run: certificates to copy or fetch, or why there is none."""

import pytest

from flows import report
from tmu.steps.issue_certificate import Issued, NotIssued


def test_a_certificate_is_on_the_page_and_a_missing_one_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, told = [], []
    monkeypatch.setattr(report, "inside_run", lambda: True)
    monkeypatch.setattr(report, "create_markdown_artifact", lambda **page: pages.append(page))
    monkeypatch.setattr(report, "tell", told.append)
    issued = Issued(request="r1", path=".tmu/evidence/r1/certificate.json", sha256="a" * 64, stamped=False)
    missing = NotIssued(request="r2", why="The search failed.", hint="Search again.")
    report.show_certificates([issued, missing], {"r1": '{"payload":"x"}'}, "http://127.0.0.1:1")
    (page,) = pages
    text = page["markdown"]
    assert (page["key"], page["description"]) == ("certificate", "Certificates: verify them with tmu-verify")
    assert "http://127.0.0.1:1/requests/r1/certificate" in text and '```json\n{"payload":"x"}\n```' in text
    assert "No certificate of request `r2`.** The search failed. Search again." in text
    assert told == [f"The certificate of request r1: {issued.path}", "No certificate: The search failed. Search again."]
    report.show_certificates([missing], {}, None)
    assert pages[-1]["description"] == "Why there is no certificate"
