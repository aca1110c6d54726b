"""What all tasks share: tags, retries, the cache key, JSON results that hold references only."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from prefect.context import TaskRunContext

from tasks.plain import StepTask, may_pass
from tasks.progress import watched
from tasks.results import read_only_json
from tasks.say import heard
from tasks.slots import GPU, slot
from tmu.compute.threads import threads_of
from tmu.config import Config, Params
from tmu.files import digest_of
from tmu.provenance import code_digest
from tmu.refs import Ref
from tmu.workspace import Workspace

read_only_json()  # before any task of ours can read a stored result

CodeOf = Callable[[Params], tuple[str, ...]]  # modules by parameters, see `tmu/steps/*.code_of`
RETRY_DELAYS = [5, 30, 60]  # seconds: a server that died is back by then


def step_task(
    stage: str, code: CodeOf | None = None, *, gpu: bool = False, cached: bool = True, limit: str | None = None
) -> Callable[..., StepTask]:
    """Decorator: one Prefect task for one step.

    The first argument is the opened workspace: Prefect passes it on as it is, and it goes into no cache key and no
    result. Cached tasks are keyed by stage, digest of the code that `code` names for the task's parameters, and the
    digests of all references and configs given to them (data, parent model, config with its seed); their results are
    references as JSON. Outside of a run a task is a plain call (`plain.py`). `gpu` tags the heavy ones, which hold the
    limit of that name while they work; `limit` names another one. The others bear no tag: Prefect asks its server for a
    slot of each tag, once a task.
    """
    return lambda function: StepTask(
        _within(stage, limit or (GPU if gpu else None), function),
        name=stage,
        tags=["gpu"] if gpu else [],
        retries=len(RETRY_DELAYS),
        retry_delay_seconds=RETRY_DELAYS,
        retry_condition_fn=may_pass_next_time,
        cache_key_fn=cache_key(stage, code) if cached else None,
        persist_result=cached,
        result_serializer="json",
    )


def _within(stage: str, limit: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, watched, holding a slot of the limit; every step's first argument is the workspace."""

    @wraps(function)
    def held(workspace: Workspace, *arguments: Any, **named: Any) -> Any:
        with slot(limit, workspace), watched(stage), heard():
            return function(workspace, *arguments, **named)

    return held


def cache_key(stage: str, code: CodeOf | None) -> Callable[[TaskRunContext, dict[str, Any]], str]:
    """The function that makes a task's cache key out of its arguments."""

    def key(context: TaskRunContext, arguments: dict[str, Any]) -> str:
        workspace: Workspace = arguments["workspace"]
        store = workspace.settings.artifacts or str(workspace.state("artifacts"))
        inputs = {name: _digest(value) for name, value in arguments.items() if name != "workspace"}
        settings = workspace.settings
        lane = [settings.device, threads_of(workspace)]  # they change the bits of a training
        lane += [settings.compute_ranks] if settings.compute_ranks > 1 else []
        modules = code(_params_of(arguments)) if code else ()
        found = {"stage": stage, "code": code_digest(*modules), "store": store, "lane": lane, "inputs": inputs}
        return digest_of(found)

    return key


def _params_of(arguments: dict[str, Any]) -> Params:
    """The parameters that a task was given, by themselves or in what holds them; never those of the workspace."""
    for value in (value for name, value in arguments.items() if name != "workspace"):
        found = value if isinstance(value, Params) else getattr(value, "params", None)
        if isinstance(found, Params):
            return found
    raise TypeError("a cached task has no parameters")


def _digest(value: Any) -> Any:
    """A JSON value that changes when the argument's content does, wherever the content lies."""
    if isinstance(value, Ref):
        return value.model_dump(exclude={"uri"})
    if isinstance(value, Config):
        return {name: _digest(part) for name, part in value}
    if isinstance(value, list | tuple):
        return [_digest(item) for item in value]
    return value


def may_pass_next_time(task: StepTask, task_run: Any, state: Any) -> bool:
    """Prefect's question whether to retry, answered by `may_pass`."""
    try:
        state.result()
    except Exception as error:
        return may_pass(error)
    return False
