"""The suite `gpu-speed`: what training and deletions cost on one GPU, in at most eight minutes.

Parts run one after the other, each with a limit of its own (`plan.py`); what a part found before its limit is stored.
"""
