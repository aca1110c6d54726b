"""Operations on a Prefect server: a client, runs that died, the flow `reconcile`, and the start of urgent work."""
