"""A stand-in for the Datadog Agent: it prints who leads, and whether the ledger answers."""

import socket

SHOWN = (b"dispatcher.leader:", b"dispatcher.ledger.away:", b"dispatcher.in_flight:")

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    receiver.bind(("", 8125))
    while True:
        datagram, (host, _) = receiver.recvfrom(65536)
        for line in datagram.splitlines():
            if line.startswith(SHOWN):
                print(host, line.partition(b"|")[0].decode(), flush=True)
