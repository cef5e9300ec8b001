"""Models of Canvas events, with their ids and timestamps. Pure: no clients, no environment."""
