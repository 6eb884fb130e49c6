"""A local platform that follows the platform contract: for demo, tests and benchmarks.

It is a separate process and imports nothing else of the dispatcher. So its effect log is an
independent record of the messages that took effect, with which a ledger can be compared.
"""
