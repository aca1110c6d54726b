"""How many never-seen records an audit needs."""

LEAST_UNSEEN = 99
"""Records below which false alarms cannot be bounded at 1 %."""
