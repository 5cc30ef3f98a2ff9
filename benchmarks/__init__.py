"""Measurements beside named peers; each module is one command, see README.md."""
