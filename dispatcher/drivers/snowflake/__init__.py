"""Sessions of Snowflake, which a source and a sink share."""
