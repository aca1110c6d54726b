"""`tmu demo`."""

from tmu.cli import flow, output
from tmu.cli.outcome import shown_outcome
from tmu.cli.workspace import home


def demo(as_json: output.Json = False) -> None:
    """See it all work: twenty simulated people are deleted from a small digit classifier, with audit and report.

    It runs in a folder of its own (--home, else `demo`), which each run makes anew. Example: [bold]tmu demo[/]
    """
    summary = flow.load("demo")(home())
    output.emit(summary, lambda: shown_outcome(summary))
