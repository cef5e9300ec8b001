"""The commands of `ops`: each parses its options, calls the module that does the work, and prints the result."""
