"""Flows that run every few minutes start without torch: it would take most of their time."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("flow", ["infra.prefect_ops.reconcile", "infra.prefect_ops.deadline_watch", "flows.intake"])
def test_a_flow_that_only_looks_does_not_import_torch(flow: str) -> None:
    code = f"import sys, {flow}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_test_sees_torch_where_it_is() -> None:
    code = "import sys, flows.carry_out; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
