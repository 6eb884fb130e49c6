"""Where lineage goes as it is written: databases, object stores, topics of Kafka, webhooks."""
