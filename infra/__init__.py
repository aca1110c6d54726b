"""How the deletion service runs: `python -m infra up|down|status|…`, one machine, ordinary supervised processes."""
