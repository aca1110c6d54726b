"""Benchmarks of the deletion service: intake over HTTP into PostgreSQL, and planning over a million records."""
