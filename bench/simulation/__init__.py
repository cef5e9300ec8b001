"""Simulates the event path on bad days: floods, outages and small quotas."""
