"""The official SDK of Genesys Cloud in 16 threads: check, then the one right send.

Its own retries are as they come: up to ten of any request whose connection drops, and of answers
with ``Retry-After``. So is its limit of four connections, unless another number is named. It has
no timeout by itself; here it has that of the others, because it would wait for ever otherwise.
"""

import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3

from benchmarks.alternatives.calls import CLIENT, TIMEOUT_SECONDS, text_for
from benchmarks.alternatives.process import Stopwatch, print_report
from tests.support.genesys_sdk import SDK


def make_api(base: str, connections: int | None) -> Any:
    """Return the SDK's conversations, logged in; None: with as many connections as by itself."""
    SDK.Configuration().host = base
    client = SDK.ApiClient(host=base)
    pool = client.get_http_client().rest_client.pool_manager
    pool.connection_pool_kw["timeout"] = TIMEOUT_SECONDS
    if connections is not None:
        pool.connection_pool_kw["maxsize"] = connections
    client.get_client_credentials_token(*CLIENT)
    return SDK.ConversationsApi(client)


def send(api: Any, row: dict[str, str]) -> bool:
    """Check and send; return whether the message was accepted."""
    try:
        state = api.get_conversations_message(row["conversation_id"])
        customer = [who for who in state.participants if who.purpose == "customer"][-1]
        contact = customer.external_contact
        request = SDK.SendAgentlessOutboundMessageRequest()
        request.from_address = "deployment-1"
        request.to_address_messenger_type = "webmessaging"
        request.external_contact_id = contact.id if contact else row["external_contact_id"]
        request.text_body = text_for(row)
        request.use_existing_active_conversation = customer.state not in (
            "disconnected",
            "terminated",
        )
        api.post_conversations_messages_agentless(request)
    except (SDK.rest.ApiException, urllib3.exceptions.HTTPError):
        return False
    return True


def main(
    base: str, contacts: Path, threads: int, connections: int | None = None
) -> dict[str, float]:
    """Send to all contacts of the file."""
    api = make_api(base, connections)
    watch = Stopwatch()
    with contacts.open(newline="") as lines, ThreadPoolExecutor(threads) as pool:
        sent = sum(pool.map(lambda row: send(api, row), csv.DictReader(lines)))
    return watch.report(sent)


if __name__ == "__main__":
    print_report(main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])))
