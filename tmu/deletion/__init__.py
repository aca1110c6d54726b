"""A deletion as a value: what was asked, what was planned, with which parameters, and how far it has come.

`plan.py` and `deletion.py` are pure; `journal.py` keeps deletions on disk. None of them loads torch.
"""
