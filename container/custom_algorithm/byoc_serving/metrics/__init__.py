"""What is counted while requests are answered: in shared memory, on /metrics, in CloudWatch's own form."""
