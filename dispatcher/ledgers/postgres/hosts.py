"""The hosts of an address that names several, each alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote, urlencode

from dispatcher.ledgers.postgres.address import PostgresAddress, load_psycopg


def single_hosts(address: PostgresAddress) -> Sequence[PostgresAddress]:
    """Return an address for each host, for what only reads; none if there are no several hosts."""
    parts: dict[str, str] = load_psycopg().conninfo.conninfo_to_dict(address.url)
    parts.pop("target_session_attrs", None)
    hosts = parts.pop("host", "").split(",")
    if len(hosts) == 1:
        return []
    ports = _per_host(parts.pop("port", ""), len(hosts))
    numbers = _per_host(parts.pop("hostaddr", ""), len(hosts))
    return [
        replace(address, url=_url(parts, host, port, number))
        for host, port, number in zip(hosts, ports, numbers, strict=True)
    ]


def _per_host(values: str, count: int) -> Sequence[str]:
    """Return the value of each host; one value is that of all."""
    found = values.split(",")
    return found * count if len(found) == 1 else found


def _url(parts: Mapping[str, str], host: str, port: str, number: str) -> str:
    options = {name: value for name, value in parts.items() if name not in ("user", "dbname")}
    if number:
        options["hostaddr"] = number
    user = f"{quote(parts['user'], safe='')}@" if "user" in parts else ""
    place = f"[{host}]" if ":" in host else quote(host, safe="")
    place += f":{port}" if port else ""
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"postgresql://{user}{place}/{quote(parts.get('dbname', ''), safe='')}{query}"
