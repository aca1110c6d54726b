"""How the deletion service runs: `python -m infra up|down|status|logs`, one machine, ordinary supervised processes."""
