"""How the deletion service runs: `python -m infra up|down|status|logs|login`, one machine, ordinary supervised processes."""
