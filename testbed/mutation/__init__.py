"""Mutation testing: changes the code in one place at a time and runs the unit tests of the module."""
