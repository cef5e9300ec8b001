"""Verdicts on the rows that are compared with the tables."""

from enum import StrEnum


class Verdict(StrEnum):
    """The verdict on one row."""

    MISSING = "missing"
    """The item has nothing of this family: corrected."""
    DRIFTED = "drifted"
    """The item differs and is older than the row: corrected."""
    SAME = "same"
    """The compared attributes are equal."""
    UNDECIDED = "undecided"
    """The item differs and is newer than the time of the row: left to a later run or event."""
    BEHIND = "behind"
    """The row lacks a recent event: not corrected."""
    UNKNOWN = "unknown"
    """The row cannot be compared."""
    GONE = "gone"
    """The record is deleted from the database of Canvas: only reported."""


CORRECTED = (Verdict.MISSING, Verdict.DRIFTED)
