"""Test doubles, DynamoDB engines, random histories and oracles for tests, benchmark and demo."""
