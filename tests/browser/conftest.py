"""A started stack and a headless browser, one of each for the tests of this folder."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.started import ROOT, Started
from tests.integration.conftest import make_workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

_BROKE_OFF = pytest.StashKey[str]()
_SWITCHES = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the pages would ask hosts elsewhere
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make browser ARGS=--pictures`."""
    parser.addoption("--pictures", action="store_true", help="write docs/pictures/*.png anew")


def _missing() -> str | None:
    """What these tests need and this machine lacks."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (pip install -e '.[dev]')"
    if shutil.which("chromium") is None:
        return "chromium is not installed (Debian: chromium)"
    from infra.stack.programs import postgres
    from tmu.errors import ConfigError

    try:
        postgres(Path("/nowhere"))
    except ConfigError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """What `make up` starts, over the embedded digits and quick parameters; stopped and removed at the end."""
    if reason := _missing():
        pytest.skip(reason)
    started = Started(make_workspace(tmp_path_factory.mktemp("person") / "w", purge={"act": True}).root)
    try:
        started.up()
        yield started
    finally:
        started.down()
    print("seconds:", {name: round(value) for name, value in started.timings.items()})


@pytest.fixture(scope="module")
def page(stack: Started) -> "Iterator[Page]":
    """One tab of a headless Chromium, light in colour, which answers MLflow's question for the login.

    What does not appear within 30 s is not there.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_SWITCHES)
        name, password = stack.login("mlflow")
        login = {"username": name, "password": password, "origin": stack.settings.mlflow_uri}
        tab = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light", http_credentials=login)
        tab.set_default_timeout(30_000)
        tab.add_init_script("localStorage.setItem('color-scheme', '\"light\"')")
        yield tab
        browser.close()


@pytest.fixture(scope="module")
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """The folder for pictures; None where none are wanted."""
    return ROOT / "docs" / "pictures" if request.config.getoption("--pictures", False) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note where a story broke off: what follows in its module is skipped."""
    report = yield
    if report.failed and item.get_closest_marker("browser"):
        item.parent.stash[_BROKE_OFF] = item.name
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Each test of a story goes on where the one before it ended."""
    if failed := item.parent.stash.get(_BROKE_OFF, None):
        pytest.skip(f"{failed} failed")
