"""The records of an audit: forget, retain and test set of a deletion, and whose records the forgotten ones are."""

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
    """The subject's key (hex of an HMAC) of each record of the forget set of `audit_sets`, in its order."""
    index = open_store(workspace, data).index()
    places = index.find_records(forget_keys(workspace, forget))[0]  # ascending, as the records are loaded
    return to_hex(index.subject_keys[places[index.splits[places] == SPLITS.index("train")]])
