"""Measures the reconciliation: `python -m bench.reconciliation`."""
