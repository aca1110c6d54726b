"""The faults: each is injected while the flow process is frozen, and says when it is over."""

import time
from collections.abc import Callable

from tests.chaos import ground as place
from tests.chaos.drive import thaw
from tests.chaos.field import Deletion, Field
from tests.chaos.proxy import Mode, switch

SECONDS_FULL = 8.0
SECONDS_REFUSING = 8.0
SECONDS_HANGING = 25.0


def _flow(field: Field, deletion: Deletion) -> None:
    deletion.flow.kill()
    deletion.note("flow process killed", pid=deletion.frozen["pid"])


def _worker(field: Field, deletion: Deletion) -> None:
    deletion.note("worker killed", pid=field.servers.kill("worker"))
    thaw(deletion)


def _both(field: Field, deletion: Deletion) -> None:
    deletion.note("worker killed", pid=field.servers.kill("worker"))
    _flow(field, deletion)


def _server(name: str) -> Callable[[Field, Deletion], None]:
    def kill(field: Field, deletion: Deletion) -> None:
        deletion.note(f"{name} killed", pid=field.servers.kill(name))
        thaw(deletion)

    return kill


def _disk(field: Field, deletion: Deletion) -> None:
    home = field.servers.stack.home
    try:
        deletion.note("disk full", bytes=place.fill(home))
        thaw(deletion)
        time.sleep(SECONDS_FULL)
    finally:
        place.free(home)
        deletion.note("disk free")


def _s3(mode: Mode, seconds: float) -> Callable[[Field, Deletion], None]:
    def disturb(field: Field, deletion: Deletion) -> None:
        try:
            switch(field.servers.control, mode)
            deletion.note(f"S3: {mode}")
            thaw(deletion)
            time.sleep(seconds)
        finally:
            switch(field.servers.control, "pass")
            deletion.note("S3: pass")

    return disturb


INJECT: dict[str, Callable[[Field, Deletion], None]] = {
    "flow": _flow,
    "worker": _worker,
    "both": _both,
    "prefect": _server("prefect"),
    "mlflow": _server("mlflow"),
    "postgres": _server("postgres"),
    "s3": _server("s3"),
    "disk": _disk,
    "s3-503": _s3("refuse", SECONDS_REFUSING),
    "s3-hang": _s3("hang", SECONDS_HANGING),
}
