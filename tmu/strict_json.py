"""JSON that means one thing: a key that comes twice in an object, NaN and Infinity are refused.

Python's own reader takes the last of two equal keys, other readers take the first. So a request could name one person
to who checks it and another one to who carries it out.
"""

import json
import math
from collections import Counter
from typing import Any


class DuplicateKeyError(ValueError):
    """An object has the same key twice. key: which one, as it was sent; it may be anything."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__("An object has the same key twice.")


def loads(text: str | bytes) -> Any:
    """The value of a JSON text (bytes: UTF-8).

    Raises DuplicateKeyError; json.JSONDecodeError or UnicodeDecodeError for what is no JSON; RecursionError for what is
    nested too deeply. All but the last are ValueErrors.
    """
    decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    return json.loads(decoded, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise DuplicateKeyError(next(key for key, count in counts.items() if count > 1))
    return value


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise json.JSONDecodeError("A number is too large", number, 0)
    return value


def _refuse(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is no JSON value", name, 0)
