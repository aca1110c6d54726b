"""Load what the first plan needs while nobody waits for it: torch and what stands on it take seconds, ten on a busy
machine, and the service answers everything else without them.
"""

import importlib
import logging
from threading import Event, Thread

_LOG = logging.getLogger("tmu.service")
_MODULES = ("numpy", "sklearn.linear_model", "torch", "tmu.steps.ledger.bind_plans")
"""In the order of who needs whom, so that the wait between two of them is short."""


class WarmUp:
    """A thread that imports, one module after another. A call that needs one of them waits for that import alone."""

    def __init__(self, modules: tuple[str, ...] = _MODULES) -> None:
        self._modules, self._stop = modules, Event()
        self._thread = Thread(target=self._load, name="warm-up")

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End after the import under way: an interpreter must not end in the middle of one."""
        self._stop.set()
        self._thread.join()

    def _load(self) -> None:
        for name in self._modules:
            if self._stop.is_set():
                return
            try:
                importlib.import_module(name)
            except Exception as error:  # the first plan meets it, and says it to whom it concerns
                _LOG.warning("%s cannot be loaded yet: %s", name, type(error).__name__)
