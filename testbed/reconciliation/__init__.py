"""A world to prove the reconciliation in: Canvas, its lake, its late events, our tables and runs that overlap."""
