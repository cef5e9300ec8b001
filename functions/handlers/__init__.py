"""The entry points of the Lambda functions: one for each Canvas event, the relay and the import monitor."""
