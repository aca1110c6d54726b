"""Purge: what a deletion left behind in the stores is found, destroyed, and looked for again (`docs/erasure.md`)."""
