"""What Canvas says: its events as models, its ids and its timestamps. Pure."""
