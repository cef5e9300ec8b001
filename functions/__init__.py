"""The deployed package: everything that runs in AWS Lambda, and nothing else."""
