"""`ops verify`: checks a deployed stage with synthetic events, and checks its configuration."""
