"""Measurements and their stored results; every number in the README comes from here."""
