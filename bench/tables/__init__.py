"""The tables of a suite, one section a file, from its stored results alone."""
