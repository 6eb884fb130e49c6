"""Conversations, people and messages of the sandbox, and the log of effects."""
