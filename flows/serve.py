"""Offer the flows on a Prefect server, to be run from its page: `python -m flows.serve [HOME]`.

Start a server first (`prefect server start`) and set PREFECT_API_URL. Requests name people by keys, because Prefect
keeps parameters: `tmu plan --subject ID --keys-only` gives them.
"""

import sys
from pathlib import Path

from flows.runtime import prepare


def main() -> None:
    """Serve all five flows for one workspace until interrupted."""
    home = str(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    prepare(home)
    from prefect import serve

    from flows.audit_flow import audit_flow
    from flows.delete_flow import delete_flow
    from flows.fit_twin import fit_twin_flow
    from flows.train_gold import train_gold_flow
    from flows.train_original import train_original_flow

    flows = (train_original_flow, train_gold_flow, fit_twin_flow, delete_flow, audit_flow)
    # one at a time: they share the GPU, the data folder and torch's process-wide switches
    serve(*(flow.to_deployment(flow.name, parameters={"home": home}) for flow in flows), limit=1)


if __name__ == "__main__":
    main()
