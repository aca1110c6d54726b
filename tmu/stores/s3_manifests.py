"""The manifests of an artifact store in S3, by kind: listed each time, fetched where the listing tells a change.

The listing names each object's entity tag, which changes with its content. What is fetched is fetched side by side.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tmu import manifest
from tmu.stores.side_by_side import side_by_side

Get = Callable[[str], tuple[str, bytes] | None]


class Manifests:
    """get: an object's tag and bytes by its key; None where it is gone."""

    def __init__(self, get: Get) -> None:
        self._get, self._known = get, dict[str, tuple[str, bytes]]()

    def among(self, listed: Iterator[dict[str, Any]], start: str) -> dict[str, bytes]:
        """The bytes of each manifest among the objects listed, by its artifact's key below `start` (`prefix/kind/`)."""
        tags = {each["Key"]: each["ETag"] for each in listed if _is_manifest(each["Key"], start)}
        known = {key: had for key in tags if (had := self._known.get(key)) is not None and had[0] == tags[key]}
        lacking = [key for key in tags if key not in known]
        fetched = zip(lacking, side_by_side(self._get, lacking), strict=True)
        known |= {key: found for key, found in fetched if found is not None}
        self._known |= known
        return {key.removeprefix(start).partition("/")[0]: known[key][1] for key in sorted(known)}


def _is_manifest(key: str, start: str) -> bool:
    """Whether an object decides on an artifact: it lies in the artifact's folder itself."""
    folder, _, name = key.removeprefix(start).partition("/")
    return bool(folder) and name == manifest.MANIFEST
