"""Follows the events of a run, and judges the condition of its campaigns."""
