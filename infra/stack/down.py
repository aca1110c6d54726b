"""`down`: stop all servers, each before those that it needs, and wait until each is gone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from infra.stack import orphans, plan
from infra.stack.place import Stack
from infra.stack.server import tiers
from infra.stack.supervisor import WATCH, Supervisor
from tmu.stores.lock import locked


def down(stack: Stack, tell: Callable[[str], None] = lambda _: None) -> int:
    """Stop everything of this stack, also what is left of an earlier start; how many processes were stopped."""
    with locked(stack.home / ".tmu" / "stack.lock"):
        servers, supervisor, stopped = plan.servers(stack), Supervisor(stack), 0
        if supervisor.running():
            live = [name for name, facts in supervisor.states().items() if facts["pid"]]
            planned = [[server.name for server in tier] for tier in tiers(servers)]
            rest = [name for name in live if name != WATCH and not any(name in tier for tier in planned)]
            for tier in ([WATCH], rest, *planned):
                stopped += _stop(supervisor, [name for name in tier if name in live], tell)
            supervisor.shutdown()
        return stopped + orphans.stop(stack, servers, tell)


def _stop(supervisor: Supervisor, names: list[str], tell: Callable[[str], None]) -> int:
    for name in names:
        tell(name)
    if names:
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(supervisor.stop_process, names))
    return len(names)
