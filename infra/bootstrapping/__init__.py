"""One file a kind of Prefect's objects. Each compares what is there with what is wanted, and mends it if told to."""
