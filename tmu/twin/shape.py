"""How many batches of how many records a step takes, by the size of the forget set. Needs no torch: plans read it."""

from typing import NamedTuple

_LARGEST, _LEAST_REPLAY = 96, 32  # of forget set or replay in a batch
_FEWEST, _SMALL, _MOST = 24, 48, 100  # batches, for so many records, for any number


class Shape(NamedTuple):
    """batches, and how many records of the forget set and of the replay each holds."""

    batches: int
    forget: int
    replay: int

    @property
    def visits(self) -> int:
        """Records seen in all."""
        return self.batches * (self.forget + self.replay)


def shape_of_step(records: int) -> Shape:
    """Half of the forget set in a batch, at most 96 records, and as much replay.

    24 batches for up to 48 records, since a small set lags behind its targets; for more, by the power .3 of the size,
    at most 100.
    """
    forget = min(max(1, records // 2), _LARGEST)
    batches = min(round(_FEWEST * max(1.0, records / _SMALL) ** 0.3), _MOST)
    return Shape(batches, forget, min(max(_LEAST_REPLAY, forget), _LARGEST))
