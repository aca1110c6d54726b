"""The verbs: each loads references, computes in a pure room, stores, and returns references.

Prefect tasks, the command line and `dvc.yaml` all call these, so that every path gives the same bytes. Each step is
idempotent: its artifact's key is a digest of all that goes in, and a key that exists is returned as it is.
"""
