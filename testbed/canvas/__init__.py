"""Test double of Canvas: one model of a school, served as live events, Canvas Data 2 and REST."""
