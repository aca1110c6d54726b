"""Steps of the ledger: requests taken in, planned, approved and certified; batches; deadlines; the log's heads."""
