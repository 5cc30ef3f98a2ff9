"""The store: submissions, receipts, reviews, events and accounts, on SQLite or PostgreSQL."""

from __future__ import annotations

from service.store.store import Store, open_store

__all__ = ["Store", "open_store"]
