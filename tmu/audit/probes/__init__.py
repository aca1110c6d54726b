"""Numbers that need the model itself and not its outputs alone: it is trained further, or shown changed images."""
