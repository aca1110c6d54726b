"""One file a kind of Prefect's objects. Each compares what is there with what is wanted, and fixes it if told to."""
