"""Datasets and their immutable versions: Parquet segments, order, diff, rollback."""
