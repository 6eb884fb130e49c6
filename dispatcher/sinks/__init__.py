"""Where lineage goes as it is written: databases, object stores and topics of Kafka."""
