"""Where a number comes from."""

from pathlib import Path

from tmu.provenance import git_state, hardware, now


def stamp() -> dict[str, str]:
    """Commit, hardware and time of a measurement."""
    machine = ", ".join(f"{name} {value}" for name, value in sorted(hardware().items()))
    return {"commit": git_state(Path(__file__).parents[1])["commit"], "hardware": machine, "at": now()}
