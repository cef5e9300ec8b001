"""Projection of Canvas events to table items: changes, versions and the guarded write."""
