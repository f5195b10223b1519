"""What a request body becomes, and what a prediction becomes: bytes in, bytes out, nothing else."""
