"""What a class may be called: its name stands in tables, terminals, model cards and signatures."""

import unicodedata
from collections.abc import Sequence

from tmu.errors import DataError

_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # control characters, broken UTF-8, line breaks
_LONGEST = 200


def refuse_names(classes: Sequence[str]) -> None:
    """Raise DataError naming the first class, by its place, whose name is not one of its own on one line."""
    for number, name in enumerate(classes, 1):
        if not name.strip():
            fault = "is empty"
        elif len(name) > _LONGEST:
            fault = f"has more than {_LONGEST} characters"
        elif any(unicodedata.category(character) in _CONTROL for character in name):
            fault = "holds a line break, a control character or broken UTF-8"
        elif name in classes[: number - 1]:
            fault = "is that of another class"
        else:
            continue
        raise DataError(f"The name of class {number} of {len(classes)} {fault}.", "Name it otherwise in the source.")
