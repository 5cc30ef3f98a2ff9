"""The store: one object for everything that is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from classifier.errors import Busy, GaoqianError
from service.store.accounts import Accounts
from service.store.corrections import Corrections
from service.store.database import Database
from service.store.events import Events
from service.store.migrations import upgrade
from service.store.reviews import Reviews
from service.store.statistics import Statistics
from service.store.submissions import Submissions


def now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Store:
    """What is kept, by what it is about; every method is one transaction, and may raise Busy."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.submissions = Submissions(database, clock)
        self.reviews = Reviews(database, clock)
        self.corrections = Corrections(database)
        self.statistics = Statistics(database)
        self.events = Events(database, clock)
        self.accounts = Accounts(database, clock)
        self.clock = clock
        self._database = database

    def ping(self) -> None:
        """Ask the database for a sign of life; raises Busy where there is none."""
        with self._database.reading() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """End all connections."""
        self._database.close()


def open_store(url: str, *, clock: Callable[[], datetime] = now) -> Store:
    """The store in a SQLite file (a path, or `sqlite:///…`) or on PostgreSQL (`postgresql://…`).

    Its tables are made, or brought to what this program needs. A forked process may use the same
    store: it opens connections of its own. Raises SettingRefused for an address that makes no
    sense and for tables made by a newer program, ExtraMissing without the driver for PostgreSQL,
    Busy where the database does not answer.
    """
    database = Database(url)
    try:
        upgrade(database)
    except Busy as refusal:
        database.close()
        raise with_reason(refusal, database) from refusal
    except GaoqianError:
        database.close()
        raise
    return Store(database, clock)


def with_reason(refusal: Busy, database: Database) -> Busy:
    """A refusal with what the technician needs to know, and strangers need not."""
    cause = refusal.__cause__
    told = str(cause.orig).splitlines()[:1] if isinstance(cause, DBAPIError) else []
    reason = f"（{told[0]}）" if told else ""
    return Busy(f"{refusal.what}{reason}", where=database.address, fix=refusal.fix)
