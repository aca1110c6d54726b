"""Verify a certificate of deletion offline. It needs neither tmu nor torch (`docs/certificate.md`)."""

__version__ = "0.1.0"
