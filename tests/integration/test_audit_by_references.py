"""An audit without golds from the command line: the step loads its records, writes its report, and is found again."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli_tools import bad, good, tmu
from tmu.config import Params

QUICK = {
    "model": {"options": {"width": 8}},
    "train": {"epochs": 4},
    "references": {"pairs": 2},
    "audit": {"bootstrap": 100, "sample": 300, "head_records": 200},
}
CASE = ("--forget", "out/forget", "--original", "out/original", "--unlearned", "out/unlearned")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace with digits, an original, references, and a fine-tuned model for twenty people."""
    root, before = tmp_path_factory.mktemp("by-references") / "w", Path.cwd()
    good(root, "init", root)
    os.chdir(root)
    (root / "params.yaml").write_text(yaml.safe_dump(Params.model_validate(QUICK).model_dump(mode="json")))
    good(root, "data", "import", "digits", "--holdout", "0.35", "--test", "0.35")
    people = [word for number in range(20) for word in ("--subject", f"contributor-{number:03d}")]
    (root / "request.json").write_text(tmu(root, "plan", *people, "--keys-only").stdout)
    good(root, "plan", "--file", "request.json", "--out", "out/forget")
    good(root, "train", "original", "--out", "out/original")
    good(root, "references", "fit", "--out", "out/references")
    model = ("--forget", "out/forget", "--original", "out/original", "--out", "out/unlearned")
    good(root, "unlearn", "--method", "finetune", *model)
    yield root
    os.chdir(before)


@pytest.mark.slow
def test_the_audit_says_what_it_found_without_a_gold(home: Path) -> None:
    shown = good(home, "audit", "--references", "out/references", *CASE)
    assert shown["verdict"]["outcome"] in ("failed", "inconclusive")  # fine-tuning forgets nothing to speak of
    assert [row["name"] for row in shown["table"]["rows"]] == ["original", "finetune"]
    folder = Path(shown["report"]).parent
    written = json.loads((folder / "audit.json").read_text())
    assert written["inner"] is not None
    assert len(written["verdict"]["reasons"]) == 10
    assert {row["seconds"] > 0 for row in written["result"]["rows"]} == {True}
    page = (folder / "report.html").read_text()
    assert written["sentence"] in page
    assert "contributor" not in page + json.dumps(written)
    assert not re.search(r"https?://(?!www\.w3\.org)", page.replace("http://www.w3.org", ""))
    assert good(home, "audit", "--references", "out/references", *CASE)["uri"] == shown["uri"]


@pytest.mark.slow
def test_an_unchanged_model_fails(home: Path) -> None:
    """The original, sealed as if a method had made it."""
    from tmu import manifest
    from tmu.files import new_folder
    from tmu.models.bundle import load_bundle, save_bundle

    net, arch, _ = load_bundle(home / "out" / "original")
    with new_folder(home / "out" / "nothing") as folder:
        identity = {"stage": "unlearned", "method": "finetune"}
        save_bundle(folder, net, arch, identity)
        manifest.seal(folder, "model", identity, {"seconds_total": 0.1})
    case = (*CASE[:-1], "out/nothing")
    shown = good(home, "audit", "--references", "out/references", *case)
    assert shown["verdict"]["outcome"] == "failed"
    assert shown["verdict"]["reasons"][0] == "failed: the weights are the original's: nothing was unlearned."


@pytest.mark.slow
def test_golds_and_references_do_not_go_together(home: Path) -> None:
    said = bad(home, "audit", "--references", "out/references", "--gold", "out/gold", *CASE, code=2)
    assert "--gold and --references do not go together" in said
    assert "--control" in bad(home, "audit", *CASE, code=2)
    assert "kind `forget`" in bad(home, "audit", "--references", "out/forget", *CASE, code=2)
