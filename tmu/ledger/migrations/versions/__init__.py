"""One file a version of the tables, named by its revision. Never changed once released: add the next."""
