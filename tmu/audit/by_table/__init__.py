"""The audit that needs no gold: an unlearned model against the references' table (`docs/audit.md`, "Without golds").

`audit.py` is the way in: `audit_by_table(case) -> TableAudit`. Tensors and numbers alone: no store, no workspace.
"""

from tmu.audit.by_table.audit import TableAudit, audit_by_table
from tmu.audit.by_table.case import Part, TableCase

__all__ = ["Part", "TableAudit", "TableCase", "audit_by_table"]
