"""Model-based tests of the reconciliation: random histories of Canvas, Canvas Data 2, late events and runs."""
