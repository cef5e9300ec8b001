"""Benchmark of the event functions, compared with other implementations in the same run."""
