"""Random histories of events, models of queues and faults, and an oracle of the tables."""
