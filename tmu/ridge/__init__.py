"""A frozen network with a head solved by least squares, kept as sums from which a record can be taken away."""
