"""Comparison: networks × scores × data sets under stated protocols -> one table, with intervals."""
