"""Which run a process that had waited works on: by its id and by the time at which the run got to work."""

from datetime import timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Pending, Running
from prefect.types._datetime import now

from infra.prefect_ops.zombies import Here

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "first", "mine"),
    [
        (Running(timestamp=now()), now(), True),
        (Running(timestamp=now()), now() - 2 * HOUR, True),  # suspended, then resumed in a process of its own
        (Pending(timestamp=now() - 2 * HOUR), None, True),
        (Running(timestamp=now() - 2 * HOUR), now() - 2 * HOUR, False),  # another process with the id of one that died
    ],
)
def test_a_process_works_on_the_run_that_it_was_there_before(state, first, mine) -> None:
    here = Here(frozenset(), {"7": (now() - HOUR).timestamp()})
    run = FlowRun(id=uuid4(), flow_id=uuid4(), state=state, start_time=first, infrastructure_pid="7")
    run.state_type = state.type
    assert here.works_on(run) is mine
