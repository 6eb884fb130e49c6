"""A local platform that obeys the platform contract: for the demo, the tests and the benchmarks.

It is a process of its own and imports nothing else of the dispatcher, so that it can serve as an
oracle: what its effect log says took effect is what really took effect.
"""
