"""The audit: what can be read from model outputs about forgetting, with intervals, a noise floor and controls.

A pure room: NumPy arrays in; numbers, figures and a page out. No store, no network
(`docs/decisions/0001-the-house.md`).
"""
