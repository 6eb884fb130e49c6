"""Objects in S3, Google Cloud Storage, Azure, and on HTTP servers, read like files."""
