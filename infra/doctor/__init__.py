"""What `tmu doctor` says of servers: one file for Prefect, one for the others. Found by entry point."""
