"""The HTTP API of the deletion service (`tmu serve`): who may ask what of the ledger, and in which form.

A route belongs to the file of its subject (`requests`, `plans`, `approvals`, `decisions`, `holds`, `board`, `log`,
`health`), each with a table `ROUTES` that names the roles. `guard` lets nobody through whom that table does not name;
`problems` turns errors into answers that repeat nothing of what was sent. docs/api.md is for callers.
"""
