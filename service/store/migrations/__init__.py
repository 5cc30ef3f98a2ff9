"""Migrations: what was done to the tables, in order; run by every start, in one transaction.

A new one is a module in `versions/`, with the change to `service/store/tables.py` beside it; a
test compares the two.
"""

from __future__ import annotations

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from classifier.errors import Busy, SettingRefused
from service.store.database import Database

_PATIENCE = 60.0
"""Seconds to wait while another process migrates."""


def upgrade(database: Database, *, to: str = "head") -> None:
    """Bring the tables to what this program needs; nothing happens where they are.

    Raises SettingRefused for tables that a newer program has made.
    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with database.reading() as connection:
        if revision_of(connection) == scripts.get_current_head() and to == "head":
            return None

    def migrate(connection: Connection) -> None:
        if database.on_postgresql:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = '10min'"))
        database.alone(connection)  # processes that start together migrate once
        revision = revision_of(connection)
        known = {script.revision for script in scripts.walk_revisions()}
        if revision is not None and revision not in known:
            raise SettingRefused(
                f"数据库的表由更新的版本建立（{revision}）",
                where=database.address,
                fix="请换用建表的那个版本，或恢复升级前的备份",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, to)

    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return database.write(migrate)
        except Busy:  # another process may be at it
            if time.monotonic() > deadline:
                raise


def needed_revision() -> str | None:
    """The last migration of this program."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def revision_of(connection: Connection) -> str | None:
    """The last migration of a database, None where there are no tables yet."""
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    # A percent sign in a path would be read as the start of a variable.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
