"""The dialect ``genesys`` of the sandbox: the public Genesys Cloud API."""
