"""Prefect tasks: one a step."""
