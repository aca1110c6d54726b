"""Freeze a flow process before the n-th effect of a stage. Python imports this by itself from PYTHONPATH.

An effect is what a crash could cut off from the next one: a file written, moved or removed, a lock, a request over HTTP
(MLflow, S3), a child process, a commit to the ledger; effect 0 is the stage's begin. Only effects of the main thread
count, where the flow runs. At the chosen one the process notes where it is and stops itself by SIGSTOP, all threads.

A process that waits for a run has its imports behind it. It is told of the run by its environment, later.

The worker refuses variables of a single run, so all its runs have CHAOS_FOLDER. In it lies `order.json` for the next
run of `nightly-batch`, which takes it away: `stage` and `effect` say where to stop (stage null: nowhere). The folder
takes `frozen.json` and, after each stage, `effects.json`.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

_EFFECTS = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "fcntl.flock",
    "subprocess.Popen",
    "http.client.send",
}
_WRITES = os.O_WRONLY | os.O_RDWR


class Gate:
    """Counts effects by stage, and stops the process at one of them."""

    def __init__(self, folder: str, stage: str | None, effect: int):
        self.folder, self.wanted = folder, (stage, effect)
        self.stage: str | None = None
        self.counts: dict[str, int] = {}
        self.busy = False
        self.waiting = {
            "tmu.ledger.executions": self.hear_of_states,
            "tmu.steps.issue_certificate": self.hear_of_the_certificate,
            "tmu.steps.seal_evidence": self.hear_of_the_seal,
        }

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's audit hook."""
        if self.busy or threading.current_thread() is not threading.main_thread():
            return
        if event == "import":
            self.patch()
        elif self.stage and (event in _EFFECTS or (event == "open" and _writes(*arguments))):
            self.effect(event)

    def patch(self) -> None:
        """Hear of stages from the modules that begin them, each once it is loaded whole."""
        for name in list(self.waiting):
            module = sys.modules.get(name)
            if module is not None and not getattr(module.__spec__, "_initializing", False):
                self.waiting.pop(name)(module)

    def hear_of_states(self, executions: Any) -> None:
        """The ledger's states."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        executions.begin = self._then(executions.begin, lambda *_, **__: "forgetting_data")
        executions.advance = self._then(executions.advance, lambda ledger, token, to, *_, **__: str(to))
        executions.finish = self._then(executions.finish, lambda *_, **__: None)
        event.listen(Engine, "commit", lambda _: self.stage and self.effect("commit"))

    def hear_of_the_certificate(self, issuing: Any) -> None:
        """The ledger says `verifying` meanwhile."""
        issuing.issue_certificate = self._in("certifying", issuing.issue_certificate)

    def hear_of_the_seal(self, sealing: Any) -> None:
        """It comes after the ledger's last state, and is the last of all."""
        sealing.seal_evidence = self._then(self._in("sealing", sealing.seal_evidence), lambda *_, **__: None)

    def _in(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            self.enter(stage)
            return function(*arguments, **named)

        return called

    def _then(self, function: Callable[..., Any], stage_of: Callable[..., str | None]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            result = function(*arguments, **named)
            self.enter(stage_of(*arguments, **named))
            return result

        return called

    def enter(self, stage: str | None) -> None:
        """A stage begins; None after the last one."""
        if stage == self.stage:
            return
        self._note("effects.json", self.counts)
        self.stage = stage
        if stage:
            self.effect("begin")

    def effect(self, name: str) -> None:
        """Count an effect that is about to happen; stop before the wanted one."""
        number = self.counts.get(self.stage, 0)
        self.counts[self.stage] = number + 1
        if (self.stage, number) == self.wanted:
            self._note("frozen.json", {"stage": self.stage, "effect": number, "what": name, "pid": os.getpid()})
            os.kill(os.getpid(), signal.SIGSTOP)

    def _note(self, name: str, value: Any) -> None:
        self.busy = True
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w") as file:
            json.dump(value, file)
        os.replace(path + ".new", path)
        self.busy = False


def _writes(path: Any, mode: str | None, flags: int) -> bool:
    if isinstance(path, str) and (path.startswith("/dev/") or "__pycache__" in path):
        return False
    return any(letter in mode for letter in "wax+") if mode else bool(flags & _WRITES)


def _order(folder: str) -> dict[str, Any] | None:
    """What is asked of this process; None where nothing is, or another process took the order."""
    taken = os.path.join(folder, f"order-{os.getpid()}.json")
    try:
        os.rename(os.path.join(folder, "order.json"), taken)
    except FileNotFoundError:
        return None
    with open(taken) as file:
        order: dict[str, Any] = json.load(file)
    os.remove(taken)
    return order


def _begin(folder: str) -> None:
    """Watch this process, where something is asked of it."""
    asked = _order(folder)
    if asked:
        sys.addaudithook(Gate(folder, asked["stage"], asked["effect"]).hear)


def _in_waiting(event: str, arguments: tuple[Any, ...]) -> None:
    """Of a process that waits for a run (`infra/stack/spare_main.py`): the environment that it is given says which."""
    if event == "os.putenv" and arguments == (_NAME.encode(), _NIGHTLY.encode()) and _FOLDER:
        _begin(_FOLDER)


_NAME, _NIGHTLY = "PREFECT__DEPLOYMENT_NAME", "nightly-batch"
_FOLDER = os.environ.get("CHAOS_FOLDER")
if _FOLDER and "infra.stack.spare_main" in sys.orig_argv:
    sys.addaudithook(_in_waiting)
elif _FOLDER and os.environ.get(_NAME) == _NIGHTLY and "prefect.engine" in sys.orig_argv:
    _begin(_FOLDER)
