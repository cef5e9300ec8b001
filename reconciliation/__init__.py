"""The Lambda functions that compare the tables with Canvas and publish corrections, in an asset of their own."""
