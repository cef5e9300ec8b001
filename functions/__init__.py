"""The Lambda functions of the event path: the relay, one function for each event, and the import monitor."""
