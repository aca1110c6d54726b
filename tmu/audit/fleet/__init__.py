"""Numbers that compare fleets of models: many unlearned models against many retrained ones, record by record."""
