"""Lineage: what a record reached, and what a model learned (`docs/lineage.md`)."""
