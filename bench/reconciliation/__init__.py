"""Benchmark of the reconciliation: `python -m bench.reconciliation`."""
