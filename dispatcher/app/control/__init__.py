"""Control socket of a running dispatcher: its server, its commands and its client."""
