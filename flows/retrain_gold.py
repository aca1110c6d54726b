"""Flow `retrain-gold`, weekly: audit one finished deletion again, drawn at random, against more golds."""

import random
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.audit_flow import audit_flow
from flows.tell import tell
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.workspace import Workspace


@flow(name="retrain-gold")
def retrain_gold_flow(
    golds: Annotated[int, Field(ge=2, le=10, description="Models retrained without the records, to compare with.")] = 3,
    home: Annotated[str, Field(description="Folder of the workspace; empty: the one of this installation.")] = "",
) -> dict[str, Any] | None:
    """A sample of the audits: one completed deletion with an unlearned model, if there is one."""
    done = [each for each in Journal(Workspace.open(home)).all() if each.stage is Stage.COMPLETED and each.unlearned]
    done = [each for each in done if each.purged is None]
    if not done:
        tell("There is no deletion that led to an unlearned model and is not purged.")
        return None
    return audit_flow(request=random.choice(done).id, golds=golds, home=home)  # noqa: S311  a sample, no secret
