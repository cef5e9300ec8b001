"""The entry points of the Lambda functions: one for each step of a run, the import check and the run monitor."""
