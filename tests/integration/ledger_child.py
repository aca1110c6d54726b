"""One process at a ledger's file; called by test_ledger_processes.py. Prints a line for everything it is told was done.

python ledger_child.py FILE intake FIRST LAST      one request after another
python ledger_child.py FILE take                   waits for a line on standard input, then takes a batch
"""

import sys

from tests.ledger_tools import FLOW, put
from tmu.ledger.batches import take_batch
from tmu.ledger.errors import ConflictError
from tmu.ledger.store import Ledger


def main() -> None:
    file, verb, *more = sys.argv[1:]
    print("ready", flush=True)
    sys.stdin.readline()
    ledger = Ledger.open(f"sqlite:///{file}")
    if verb == "intake":
        for number in range(*map(int, more)):
            put(ledger, f"r{number}", f"person {number}")
            print(f"r{number}", flush=True)
        return
    try:
        print(take_batch(ledger, "faces", FLOW).id, flush=True)
    except ConflictError:
        print("refused", flush=True)


if __name__ == "__main__":
    main()
