"""What is left of a purged version in MLflow, and what is said of it.

A purged version keeps its row, with its number, role and weights' digest, and has an address in place of its files'
that leads nowhere (`mlflow_place`). So MLflow's own `load_model` says what became of it, as ours does.
"""

from collections.abc import Mapping

PLACE = "tmu-workspace:/purged/"
PURGED, AT, BY = "purged", "purged_at", "purged_for"
"""The value of the tag `serving` of a purged version, and the tags that hold its date and the deletion's id."""
KEPT = frozenset({"role", "method", "weights_sha256", "data_revision", "serving", AT, BY})
"""The tags that a purged version keeps; they lead to nobody."""


def address_of(name: str, number: int) -> str:
    """The address of a purged version."""
    return f"{PLACE}{name}/{number}"


def sentence(name: str, number: int | str, tags: Mapping[str, str]) -> str:
    """What is said of a purged version."""
    when, request = tags.get(AT, "a date that is not noted"), tags.get(BY, "that is not noted")
    return (
        f"{name}, version {number}, was purged on {when} for deletion {request}: it learned records that were erased."
    )


def refusal(address: str) -> str | None:
    """What is said of an address of a purged version; None of any other."""
    if not address.startswith(PLACE):
        return None
    name, _, number = address.removeprefix(PLACE).partition("/")
    return (
        f"{name}, version {number}, was purged: it learned records that were erased. Its description in MLflow says "
        "when, and for which deletion. Load `@champion`."
    )
