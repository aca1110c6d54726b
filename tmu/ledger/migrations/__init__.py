"""Alembic's migrations of the ledger, packaged with the program: `upgrade.py` runs them when a ledger is opened."""
