"""The two sides of a fleet comparison: arrays (models, records) of one number a record, such as its confidence."""

import numpy as np

from tmu.errors import DataError


def check_sides(first: np.ndarray, second: np.ndarray, *, at_least: int = 2) -> None:
    """Refuse sides that are not (A, N) and (B, N), hold fewer than `at_least` models each, or are not all finite."""
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or first.shape[1] == 0:
        raise DataError(
            f"The sides have shapes {first.shape} and {second.shape}, not (models, records) with the same records.",
            "Compute the outputs of both fleets on one set of records.",
        )
    if min(len(first), len(second)) < at_least:
        raise DataError(
            f"The smaller fleet has {min(len(first), len(second))} models.", f"Train at least {at_least} for each side."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError(
            "A fleet's outputs are not all finite numbers.", "Leave out, or train again, the diverged model."
        )
