"""What the purge of a deletion is about: everything that its records reached."""

from tmu.deletion.deletion import Deletion
from tmu.purge.scope import Scope
from tmu.steps.loading import forget_keys
from tmu.workspace import Workspace


def scope_of(workspace: Workspace, deletion: Deletion) -> Scope:
    """The scope: keys from the forget set, shards and revisions from the deletion. Before the forget set is purged."""
    return Scope(
        request=deletion.id,
        records=tuple(sorted(forget_keys(workspace, deletion.forget))),
        subjects=deletion.plan.subjects,
        shards=deletion.plan.shards,
        before=deletion.plan.data,
        after=deletion.data,
    )
