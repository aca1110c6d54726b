"""The certificate of a deletion: its fields, its keys, its signature (`docs/certificate.md`)."""
