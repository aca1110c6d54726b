"""References: pairs of networks on random halves of D, of which only the outputs are kept (`docs/references.md`).

`halves.py` says which network learns which record, `rows.py` holds outputs in memory, `shards.py` on disk.
"""
