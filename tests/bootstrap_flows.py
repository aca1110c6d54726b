"""Flows that do nothing, for tests of how deployments are made."""

from prefect import flow


@flow(name="first")
def first_flow(home: str = "") -> None:
    """The first.

    Args:
        home: Folder of the workspace.
    """


@flow(name="second")
def second_flow(home: str = "", count: int = 1) -> None:
    """The second.

    Args:
        home: Folder of the workspace.
        count: How many.
    """


@flow(name="waiting")
def waiting_flow() -> None:
    """Suspends itself as soon as it runs."""
    from prefect.flow_runs import suspend_flow_run

    from flows.runs import suspending

    with suspending():
        suspend_flow_run()
