"""The documents name only what is in the repository: links, and paths in backticks."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
FOLDERS = ("bench/", "docs/", "flows/", "infra/", "tasks/", "tests/", "tmu/")
PLACEHOLDER = re.compile(r"[*<>{}…$=]|\b[A-Z]{2,}\b(?!\.md)")
MADE = {"requirements.lock"}


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).strip().replace(" ", "-") for head in heads}


def broken_links(text: str, folder: Path) -> list[str]:
    """The relative links of a page in `folder` that lead to no file, or to no heading of it."""
    broken = []
    for link in LINK.findall(FENCE.sub("", text)):
        name, _, anchor = link.partition("#")
        target = folder / name
        if "://" in link or link.startswith("mailto:"):
            continue
        if (name and not target.exists()) or (anchor and anchor not in anchors(target.read_text() if name else text)):
            broken.append(link)
    return broken


def missing_paths(text: str) -> list[str]:
    """The repository paths in backticks that do not exist. Patterns and paths of a workspace are none."""
    words = [word for code in CODE.findall(FENCE.sub("", text)) for word in code.split()]
    paths = [word.rstrip(".,:;") for word in words if word.startswith(FOLDERS) and not PLACEHOLDER.search(word)]
    return [path for path in paths if not (ROOT / path).exists()]


def from_an_index(text: str) -> list[str]:
    """Our own packages where a page installs one by its name: none is on an index."""
    return re.findall(r"pip install [^\n`#]*?\"?(?<![\w./-])(tmu)\b", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page):
    assert broken_links(page.read_text(), page.parent) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_path_in_backticks_is_in_the_repository(page):
    assert missing_paths(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_nothing_of_ours_is_installed_from_an_index_that_has_it_not(page):
    assert from_an_index(page.read_text()) == []


def test_planted_faults_are_found():
    assert from_an_index('pip install tmu-verify[time], pip install "tmu", pip install ./verifier, ray') == ["tmu"] * 2
    text = "[a](docs/absent.md) [b](docs/cli.md#no-such-heading) [c](docs/cli.md#exit-codes) [d](https://x.org/y)"
    assert broken_links(text, ROOT) == ["docs/absent.md", "docs/cli.md#no-such-heading"]
    assert missing_paths("`tmu/absent.py`, `tmu/check.py`, `tmu/*/x.py`, `data/store.json`") == ["tmu/absent.py"]


SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
NAMED = re.compile(r"[\w./-]*\w\.md\b")


def missing_pages(source: str) -> list[str]:
    """The Markdown pages that a source names, as paths from the root, and that do not exist."""
    return [name for name in NAMED.findall(source) if not (ROOT / name).exists()]


def test_public_docstrings_name_pages_that_exist():
    rooms = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in ("tmu", "flows", "tasks", "infra")]
    found = {path.relative_to(ROOT).as_posix(): missing_pages(path.read_text()) for path in rooms}
    assert {path: names for path, names in found.items() if names} == {}
