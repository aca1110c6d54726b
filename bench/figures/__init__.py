"""The figures of a suite, one a file, from its stored results alone; matplotlib without pyplot."""
