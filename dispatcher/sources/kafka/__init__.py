"""Topics of Kafka as a source: one stream for each partition, with its place in the ledger."""
