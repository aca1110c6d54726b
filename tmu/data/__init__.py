"""The record store: images in Parquet shards, made so that one record can be deleted without touching the rest."""
