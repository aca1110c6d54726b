"""Prefect's and MLflow's pages as a person uses them."""

from pathlib import Path

from playwright.sync_api import Locator, Page

_FIELD = ".schema-form-properties > .schema-form-property"
_LABEL = ".schema-form-property__label"
_CHOICE = ".p-select-button__control"


class Form:
    """A form that Prefect makes of a JSON schema; fields are known by their titles. within: what surrounds it."""

    def __init__(self, page: Page, within: str):
        self.page, self.all = page, page.locator(within)
        self.all.locator(_LABEL).last.wait_for()

    def titles(self) -> list[str]:
        """In order; the page marks fields that may stay empty."""
        found = self.all.locator(_FIELD).locator(_LABEL).all_inner_texts()
        return [text.removesuffix(" (Optional)") for text in found]

    def field(self, title: str) -> Locator:
        """A field with its title, description and errors."""
        return self.all.locator(_FIELD).filter(has=self.page.locator(_LABEL, has_text=title)).first

    def description(self, title: str) -> str:
        """What stands under a title."""
        return self.field(title).locator(".schema-form-property__description").first.inner_text()

    def type(self, title: str, text: str) -> None:
        """Fill in a text."""
        self.field(title).locator("textarea").fill(text)

    def add(self, title: str, text: str) -> None:
        """Add an item to a list."""
        items = self.field(title).locator("textarea")
        there = items.count()
        self.field(title).get_by_role("button", name="Add item").click()
        items.nth(there).fill(text)

    def chosen(self, title: str) -> str:
        """What a drop-down shows."""
        return self.field(title).locator(_CHOICE).inner_text()

    def choices(self, title: str) -> list[str]:
        """Open a drop-down; what it offers."""
        self.field(title).locator(_CHOICE).focus()
        self.page.keyboard.press("ArrowDown")
        self.page.get_by_role("option").first.wait_for()
        return self.page.get_by_role("option").all_inner_texts()

    def choose(self, title: str, text: str) -> None:
        """Open a drop-down and choose."""
        self.choices(title)
        self.page.get_by_role("option", name=text, exact=True).click()

    def submit(self) -> None:
        """Press its button."""
        self.all.get_by_role("button", name="Submit", exact=True).click()


def log_in(page: Page, login: str) -> None:
    """Type the login where Prefect's page asks for it."""
    field = page.locator("input[type=password]")
    field.fill(login)
    field.press("Enter")


def open_custom_run(page: Page, address: str) -> Form:
    """From the list of deployments to the form of `delete`, by clicks. address: of the list."""
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_role("link", name="delete", exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()
    return Form(page, "main, #app")


def open_resume(page: Page, address: str) -> Form:
    """The form of a suspended run, from its page."""
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_role("button", name="Resume", exact=True).click()
    return Form(page, "[role=dialog]")


def open_artifacts(page: Page, address: str) -> None:
    """The artifacts' tab of a run's page."""
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_text("Artifacts", exact=True).first.click()
    page.get_by_text("How the batch ended").hover()
    page.mouse.wheel(0, 3000)  # the page asks for the tasks' artifacts once their place is seen


def compared(page: Page) -> dict[str, list[str]]:
    """The rows of MLflow's comparison by their names: a cell a version. All metrics, also those that do not differ."""
    page.get_by_role("heading", name="Comparing").wait_for()
    metrics = page.get_by_role("row").filter(has_text="Metrics").filter(has=page.get_by_role("switch"))
    metrics.get_by_role("switch").click()
    rows = {}
    for row in page.get_by_role("row").filter(has=page.get_by_role("cell")).all():
        name = row.get_by_role("rowheader").inner_text().strip().rstrip(":")
        rows[name] = [cell.strip() for cell in row.get_by_role("cell").all_inner_texts()]
    return rows


def make_room(page: Page) -> None:
    """Close what stands beside MLflow's tables."""
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Toggle sidebar").click()


def picture(page: Page, folder: Path | None, name: str, height: int, of: str) -> None:
    """Write a picture of what is seen of an element in a tab of this height (pixels), if pictures are wanted."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    page.set_viewport_size({"width": before["width"], "height": height})
    page.mouse.move(0, 0)
    page.evaluate("document.activeElement.blur(), document.querySelectorAll('*').forEach(each => each.scrollTop = 0)")
    page.wait_for_timeout(1000)
    box = page.locator(of).first.bounding_box()
    clip = {**box, "height": min(box["height"], height - box["y"])}
    page.screenshot(path=folder / f"{name}.png", clip=clip)
    page.set_viewport_size(before)
