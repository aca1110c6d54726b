"""What memory and processor time each verb takes as the pictures grow: `python -m bench.larger_than_memory`."""
