"""The servers of one machine: one file a server, started and watched by supervisord (docs/running.md)."""
