"""The models of deletions, one alone or many in a row, and what they cost."""

from pathlib import Path

from torch import Tensor

from bench.runner.by_table import kept_audit
from bench.runner.cache import read_run
from bench.runner.cells import TIMES, Number, ratios
from bench.runner.made import Help, Made, Step
from bench.runner.masks import forgotten
from bench.runner.models import Workshop
from bench.runner.plan import OUTCOMES, Task, in_stream, step_of, stream_name


def unlearned(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> Made:
    """The task's model; in a stream it starts from the model of the deletion before."""
    return chain(shop, task, masks)[-1].made


def chain(shop: Workshop, task: Task, masks: dict[str, Tensor]) -> list[Step]:
    """The task's deletion, in a stream after all before it."""
    names = [task.forget]
    if in_stream(task.forget):
        names = [stream_name(shop.suite, step) for step in range(1, step_of(task.forget) + 1)]
    given, start, steps = shop.help(task.row, task.number), shop.original(task.number), list[Step]()
    for name in names:
        request = forgotten(shop, name, masks)
        made = shop.unlearned(task.row, task.number, start, request, given, name)
        steps.append(Step(request, start, made, steps[-1].request if steps else None))
        start = made
    return steps


def costs(shop: Workshop, steps: list[Step], given: Help, gold: float, stream: bool) -> list[Number]:
    """Seconds and retrainings: of the step alone, of what is made once, and in a stream of all deletions so far."""
    alone, once = seconds_of(steps[-1].made), sum(map(seconds_of, given.made))
    share = shop.suite.stream.deletions if stream else 1  # over a stream one twin serves all deletions
    found = ratios(alone, alone + once / share, gold)
    gone, stay = (int(mask.sum()) for mask in (steps[-1].request.now, ~steps[-1].request.gone))
    found += [("records_gone", float(gone), "records"), ("records_stay", float(stay), "records")]
    for name, made in (("references", given.table), ("lessons", given.lessons)):
        if made is not None:
            found += [
                (f"seconds_{name}", seconds_of(made), "s"),
                (f"seconds_ratio_{name}", seconds_of(made) / gold, TIMES),
            ]
    if not stream:
        return found
    total = once + sum(seconds_of(step.made) for step in steps)
    if given.table is not None:
        audits = [read_run(audited_step(shop, step, given.table)) for step in steps]
        found.append(("seconds_ratio_audits", sum(run["seconds"] for run in audits) / gold, TIMES))
        found += [(f"audits/{said}", float(sum(run["outcome"] == said for run in audits)), "") for said in OUTCOMES]
        total += sum(run["seconds"] for run in audits)
    return [*found, ("seconds_ratio_total", total / gold, TIMES)]


def audited_step(shop: Workshop, step: Step, table: Made) -> Path:
    """The audit without golds of one deletion of a stream."""
    return kept_audit(shop, step, table)


def seconds_of(made: Made) -> float:
    """What it took to make it."""
    return read_run(made.folder)["seconds"]
