"""Serve the urgent lane of a workspace without a Prefect server, as `tmu delete` does. Called by test_late_faults.py.

python serve_child.py HOME POINT RUN       POINT `begun` dies by SIGKILL between the ledger's note that the erasing
begins and the journal's; `none` runs to the end and prints the outcomes. RUN names the attempt's flow run; `-`: none.
"""

import json
import os
import signal
import sys
from typing import Any


def main() -> None:
    home, point, run = sys.argv[1:]
    from flows import commands, observer, serve_batch

    real = observer.begin_erasing

    def die(*arguments: Any) -> None:
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    if point == "begun":
        observer.begin_erasing = die
    if run != "-":
        serve_batch.own_run = lambda: run
    print(json.dumps(commands.serve(home=home)))


if __name__ == "__main__":
    main()
