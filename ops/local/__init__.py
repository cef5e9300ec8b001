"""The local stage: an AWS emulator on this machine, and the stacks deployed to it."""
