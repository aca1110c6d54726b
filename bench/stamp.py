"""Where a number comes from."""

from pathlib import Path

from tmu.provenance import git_state, hardware, now


def stamp(*, threads: int) -> dict[str, str]:
    """Commit, hardware and time of a measurement in a process of so many threads."""
    facts = {name: value for name, value in hardware().items() if name != "threads"}
    machine = ", ".join(f"{name} {value}" for name, value in [*sorted(facts.items()), ("threads", threads)])
    return {"commit": git_state(Path(__file__).parents[1])["commit"], "hardware": machine, "at": now()}
