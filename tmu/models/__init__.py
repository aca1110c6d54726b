"""Architectures (one file each, found by name) and the bundle that stores a trained model without pickle."""
