"""The ledger: who asked, by when, what was decided, what was done; in SQL, with an audit log that shows tampering.

One subject a file. `states` and `clock` are pure; `transition` is the only place that changes a request's state;
the services (`intake`, `decisions`, `holds`, `plans`, `approvals`, `batches`, `executions`, `evidence`) each
open one transaction of a `Ledger`. docs/ledger.md tells what is stored and what never is.
"""
