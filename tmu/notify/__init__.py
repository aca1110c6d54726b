"""Telling others: signed webhooks and Apprise, from the ledger's outbox. docs/notifications.md is for receivers."""
