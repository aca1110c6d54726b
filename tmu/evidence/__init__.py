"""Evidence of a deletion: manifest, documents and the bundle that holds them (`docs/evidence.md`). No keys, no ids."""
