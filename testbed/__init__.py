"""What tests and the demo run against in place of systems that cannot be installed."""
