"""Which hosts can only be this machine."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Return True if ``host`` can only be this machine: localhost, 127.0.0.0/8 or ::1."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
