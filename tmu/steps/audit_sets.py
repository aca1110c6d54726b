"""The records of an audit: forget, retain and test set of a deletion, and whose records the forgotten ones are."""

import numpy as np

from tmu.data.keys import to_hex
from tmu.data.records import SPLITS
from tmu.errors import RequestError
from tmu.refs import DataRef, ForgetRef
from tmu.steps.loading import examples, forget_keys, open_store
from tmu.train import Examples
from tmu.workspace import Workspace


def audit_sets(workspace: Workspace, data: DataRef, forget: ForgetRef) -> dict[str, Examples]:
    """Forget, retain and test set. A forgotten person's test records are left out: they are to be erased, too."""
    store, keys = open_store(workspace, data), forget_keys(workspace, forget)
    parts = {
        "forget": examples(store, "train", only=keys),
        "retain": examples(store, "train", without=keys),
        "test": examples(store, "test", without=keys),
    }
    if not len(parts["forget"]):
        raise RequestError("No training record was forgotten.", "There is no model to audit; the data are erased.")
    return parts


def subjects_of(workspace: Workspace, data: DataRef, forget: ForgetRef) -> list[str]:
    """The subject's key (hex of an HMAC) of each record of the forget set of `audit_sets`, in its order.

    A picture of several people counts for the first of them who is forgotten whole; for the first, where none is.
    """
    index = open_store(workspace, data).index()
    places = index.find_records(forget_keys(workspace, forget))[0]  # ascending, as the records are loaded
    learned = places[index.splits[places] == SPLITS.index("train")]
    subjects = to_hex(index.subject_keys[learned])
    for row in np.flatnonzero(np.isin(learned, index.more_positions)):
        people = index.people_at(learned[row : row + 1])
        whole = [key for key in people if np.isin(index.find_subject(key), places).all()]
        subjects[row] = next(iter(whole), subjects[row])
    return subjects
