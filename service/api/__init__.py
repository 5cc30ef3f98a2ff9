"""The HTTP API: its routes, what they take and give, and how refusals are told."""
