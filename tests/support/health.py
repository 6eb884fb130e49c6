"""What the health of a dispatcher answers."""

import json
import urllib.error
import urllib.request
from typing import Any


def health(port: int, page: str) -> tuple[int, dict[str, Any]]:
    """Return the status of a page of the health, and its JSON; 0 while nothing listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except urllib.error.URLError:
        return 0, {}
