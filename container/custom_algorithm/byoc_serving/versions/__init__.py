"""Model versions: what a manifest says, and how a version goes to S3 and comes back."""
