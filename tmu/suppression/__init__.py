"""What was erased, remembered so that it cannot come back: marks under a key of their own (`docs/erasure-keys.md`)."""
