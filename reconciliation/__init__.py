"""Comparing the tables with Canvas, and correcting them by ordinary events: an asset of its own."""
