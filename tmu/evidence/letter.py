"""The letter to the person: what was done, when, what stays and why, whom to ask and to complain to. Plain words.

It names no id: who answers a request knows whom it is for.
"""

from datetime import date, datetime
from typing import Literal

from tmu.config import Config
from tmu.words import counted

NAME = "letter"


class Letter(Config):
    """The facts of a letter. received, done: dates (ISO 8601). records: how many of the person's went; None: not known.

    purged: whether earlier versions were destroyed, too. learned: whether a model had learned any. exact: it was
    trained again, or (head_alone) its last layer was computed again. verdict: of the audit. stays: what is still there,
    in sentences. issuer, contact: who answers; authority: whom to complain to.
    """

    received: str
    done: str
    records: int | None
    purged: bool
    learned: bool
    exact: bool
    head_alone: bool = False
    verdict: Literal["passed", "failed", "inconclusive", "none"]
    stays: tuple[str, ...] = ()
    issuer: str
    contact: str
    authority: str


_ALWAYS = (
    "A short mark of what was erased. It is a number made from the erased entries with a secret key. It holds no "
    "picture and no name. We keep it so that the same pictures cannot come back by mistake.",
    "A log that says that there was a request, when, and what we did. It names nobody. We keep it because we must be "
    "able to show that we did what the law asks.",
)


def letter_text(facts: Letter) -> str:
    """As plain text."""
    parts = [
        f"Your request of {_day(facts.received)} to erase your data",
        "Hello,",
        f"You asked us to erase your data. We did so; it was complete on {_day(facts.done)}.",
        _section("What we did", _done(facts)),
        _section("What we keep, and why", [*facts.stays, *_ALWAYS]),
        _section("What we cannot promise", _limits(facts)),
        _section("Your rights", _rights(facts)),
        f"Kind regards\n{facts.issuer}",
    ]
    return "\n\n".join(parts) + "\n"


def letter_markdown(facts: Letter) -> str:
    """The same, with headings."""
    lines = letter_text(facts).split("\n\n")
    lines[0] = f"# {lines[0]}"
    return "\n\n".join(f"## {part}" if part in _HEADINGS else part for part in lines)


_HEADINGS = ("What we did", "What we keep, and why", "What we cannot promise", "Your rights")


def _section(title: str, sentences: list[str]) -> str:
    return "\n\n".join([title, "\n".join(f"- {each}" for each in sentences)])


def _done(facts: Letter) -> list[str]:
    what = "your pictures" if facts.records is None else counted(facts.records, "picture")
    earlier = "also from its earlier versions" if facts.purged else "but not yet from its earlier versions"
    said = [f"We erased {what} from our data set, {earlier}."]
    if not facts.learned:
        return [*said, "No model of ours had learned from them."]
    if facts.head_alone:
        said.append(
            "A model had learned from them in its last layer alone. We computed that layer again without them. It is "
            "what it would be if we had never had them."
        )
    elif facts.exact:
        said.append("A model had learned from them. We trained it again without them.")
    else:
        said.append("A model had learned from them. We changed it so that it no longer knows them.")
    said.append("The earlier model is not used any more.")
    checked = {
        "passed": "We checked that: we computed the layer once more, from the pictures that stay, and it was the same."
        if facts.head_alone
        else "We tested the new model. The test did not find that it still knows your pictures.",
        "inconclusive": "We tested the new model. The test could not tell whether it still knows your pictures: there "
        "are too few of them for that.",
        "failed": "We tested the new model, and the test found a difference. A person looks into it.",
        "none": "We did not test the new model: "
        + ("it was trained without your pictures." if facts.exact else "nothing was there to test by."),
    }
    return [*said, checked[facts.verdict]]


def _limits(facts: Letter) -> list[str]:
    if facts.exact or not facts.learned:
        return ["Pictures of you that others sent us without your name are not found by a request of yours."]
    return [
        "The model was changed and not trained again. No test can show that nothing at all is left in it.",
        "Pictures of you that others sent us without your name are not found by a request of yours.",
    ]


def _rights(facts: Letter) -> list[str]:
    return [
        f"You can ask us at any time: {facts.contact}.",
        "You can ask for the certificate of this erasure. Anybody can check it without us.",
        f"You can complain to the authority that watches over data protection: {facts.authority}.",
        "You can also go to court.",
    ]


def _day(at: str) -> str:
    """A date in words: 3 March 2026."""
    day = datetime.fromisoformat(at).date() if "T" in at else date.fromisoformat(at)
    return f"{day.day} {day:%B %Y}"
