"""The stores that a purge looks at: one file each (`tmu/purge/place.py`)."""
