"""The independent search: whether anything of a person is left in any store (`docs/erasure-search.md`).

It shares no code with the purge that it checks: it reads files, buckets and databases by itself.
"""
