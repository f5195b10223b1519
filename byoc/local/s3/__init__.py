"""An S3 whose objects are files."""
