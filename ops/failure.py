"""What the command line says when something did not work."""


class OperatorError(Exception):
    """A failure that the operator can do something about. Its text says what was wrong and what to do."""
