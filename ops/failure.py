"""The error of the command line."""


class OperatorError(Exception):
    """Raised for a failure that the operator can resolve. The text says what is wrong and what to do."""
