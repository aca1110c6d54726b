"""What was erased, remembered so that it cannot come back: marks and pictures, under keys (`docs/erasure-keys.md`)."""
