"""Chaos: every stage of a deletion meets every fault, on the servers of `make up`; `python -m tests.chaos`.

A run of the flow is frozen at an exact place of a stage (`hook/`), the fault is injected, and afterwards everything
that must hold is looked up anew (`facts.py`, `checks.py`). The product holds nothing that serves this.
"""
