"""Heads of the audit log, kept where its administrators cannot change them: one file a place.

Who can write the ledger's database can compute the log anew or cut off its end. A head that was noted elsewhere shows
it. Heads go out through the ledger's outbox (event `log_head`), so that they survive a crash and a place that is away.
"""
