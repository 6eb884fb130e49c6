"""Rows of CSV and JSON Lines, and the contacts they become."""
