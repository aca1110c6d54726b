"""The training engine beside plain loops: the same network, records, schedule and epochs, in one process, in turns."""
