"""The commands: each reads its options, does one thing of `ops`, and prints what came of it."""
