"""What is wrong before a client of a server can be made."""


class DriverError(Exception):
    """A client cannot be made; the message says which package or which setting is wrong."""
