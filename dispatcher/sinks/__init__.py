"""Where lineage goes as it is written: databases and object stores, each row once."""
