"""Ids of people: one normal form for whatever writes them (CSV, command line, files, form, API).

The normal form is Unicode's composed form (NFC) without blanks at the ends. NFKC is not used: it would make one person
of two whose ids differ by a ligature or a superscript. A character that cannot be seen is refused, because the id that
is typed in a request would then be another one. The rule is stored with the dataset, so that a store made under an
older rule still finds its people.
"""

import re
import unicodedata
from typing import Literal

from tmu.config import Config
from tmu.errors import RequestError

_BLANKS = " \t\r\n"
# invisible, whatever category Unicode gives them: its Default_Ignorable_Code_Point, and characters without a shape
_UNSEEN = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x2800, 0x3164, 0xFFA0, 0x13440, 0x16FE4, 0x1D159}
_UNSEEN |= {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFF9), *range(0xE0000, 0xE1000)}
_HIDDEN = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs")
_NAMES = {0x9: "tab", 0xA: "line feed", 0xD: "carriage return", 0xA0: "no-break space", 0xFEFF: "byte order mark"}


class IdRule(Config):
    """How ids of people are compared. version 1: NFC alone, as before the rule was stored; 2: as the module says.

    fold_case: `Zoe` and `zoe` are one person.
    """

    version: Literal[1, 2] = 2
    fold_case: bool = False


FIRST = IdRule(version=1)


def normal_id(raw: str, rule: IdRule) -> str:
    """The normal form of a person's id. Raises RequestError, without the id, where it is empty or holds an unseen
    character (rules from version 2 on).
    """
    text = unicodedata.normalize("NFC", raw)
    if rule.version == 1:
        return text
    text = text.strip(_BLANKS)
    if not text:
        raise RequestError("An id of a person is empty.", "Leave it out, or fill it in.")
    found = unseen(text)
    if found:
        raise RequestError(f"An id of a person holds {found}, which is invisible.", "Remove that character.")
    return unicodedata.normalize("NFC", text.casefold()) if rule.fold_case else text


def alike(raw: str) -> str:
    """What ids share that differ only by letter case, blanks, width (full, half) or unseen characters."""
    seen = "".join(character for character in raw if unseen(character) is None or character.isspace())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return re.sub(r"\s+", " ", folded).strip()


def unseen(text: str) -> str | None:
    """The first character that cannot be seen, as `U+200B (zero width space)`; None where there is none."""
    for character in text:
        code = ord(character)
        hidden = unicodedata.category(character) in _HIDDEN and character != " "
        if hidden or code in _UNSEEN:
            name = _NAMES.get(code) or unicodedata.name(character, "control character").lower()
            return f"U+{code:04X} ({name})"
    return None
