"""One file per Canvas event: the entry points of the Lambda functions."""
