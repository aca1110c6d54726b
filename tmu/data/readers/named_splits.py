"""Splits that a source names itself: kept, or drawn anew; never silently either."""

from collections.abc import Callable, Collection
from typing import Literal

from tmu.data.readers.folder_walk import SPLIT_FOLDERS
from tmu.errors import DataError

NamedSplits = Literal["keep", "mix"]


def splits_of(names: Collection[str], choice: NamedSplits | None) -> Callable[[str], str | None]:
    """What a named split becomes; None: the record's key decides. A source with one name alone has no splits.

    Raises DataError where there are several and nothing is chosen, or one that is kept has an unknown name.
    """
    several = sorted(set(names))
    if choice == "mix" or (choice is None and len(several) < 2):
        return lambda name: None
    if choice is None:
        raise DataError(
            f"The source has splits of its own: {', '.join(name or 'unnamed' for name in several)}.",
            "`--option splits=keep` keeps them (validation becomes holdout), `splits=mix` draws them anew.",
        )
    unknown = [name for name in several if name.lower() not in SPLIT_FOLDERS]
    if unknown:
        raise DataError(
            f"{len(unknown)} of the source's {len(several)} splits have no known name.",
            f"With splits=keep name them {', '.join(SPLIT_FOLDERS)}; or say splits=mix.",
        )
    return lambda name: SPLIT_FOLDERS[name.lower()]
