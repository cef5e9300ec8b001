"""The front door: from Canvas' queue to the bus, without secrets."""
