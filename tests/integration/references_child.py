"""Fit the references of a workspace in processes, until somebody kills this one. Called by test_references.py.

python references_child.py HOME
"""

import sys


def main() -> None:
    """As `tmu references fit`, with processes for networks however small."""
    from tmu.steps import train_references
    from tmu.steps.fit_references import fit_references
    from tmu.steps.loading import data_ref
    from tmu.workspace import Workspace

    train_references._PATIENCE = -1.0
    workspace = Workspace.open(sys.argv[1])
    print(fit_references(workspace, data_ref(workspace), workspace.params).digest)


if __name__ == "__main__":
    main()
