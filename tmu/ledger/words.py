"""Text that people write into the ledger: short, one line, and without what looks like an id of a person."""

import re

from tmu.errors import RequestError

MOST = 200
"""Characters of a reason. The log is for ever: what gets in cannot be taken out again."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def reason_of(text: str) -> str:
    """A reason that may go into the log. Raises RequestError for an empty, long or unsuitable one.

    Refused: more than MOST characters, control characters and line breaks, and `@` (addresses). A machine cannot tell
    a name from a word: that reasons name nobody is the writer's duty.
    """
    text = text.strip()
    if not text or len(text) > MOST or not text.isprintable() or "@" in text:
        raise RequestError(
            f"The reason is empty, longer than {MOST} characters, not one plain line, or holds an address.",
            "Say why in one line without naming a person; refer to a file number instead.",
        )
    return text


def request_id_of(text: str) -> str:
    """An id of a request. Raises RequestError for one that may not go into the log."""
    if not _REQUEST_ID.fullmatch(text):
        raise RequestError(
            "The id of the request has a form that may not go into the log.",
            "Use 1 to 64 letters, digits and `._-`, beginning with a letter or digit; no id of a person.",
        )
    return text
