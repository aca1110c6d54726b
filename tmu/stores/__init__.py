"""Where things are kept: data revisions (DVC), artifacts (folder or S3), models (MLflow), the ledger."""
