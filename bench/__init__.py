"""`make bench`: what one event costs, ours and every peer's, measured in one run."""
