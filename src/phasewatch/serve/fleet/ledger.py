"""The ledger of incidents: what was found, and what people did about it, in one SQLite file.

The file lies beside the store. Every change is one transaction; readers and the judge share it.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasewatch.errors import Refused
from phasewatch.live.incidents import Incident

ENDING = ".incidents.sqlite"
MOST_LISTED = 200
"""Incidents that are listed, the newest ones."""

MOST_TEXT = 2000
"""Characters of a note or a reason."""

MOST_NOTES = 100
"""Notes of one incident."""

FORMAT = 1
TABLES = """
CREATE TABLE IF NOT EXISTS incident (
  id TEXT PRIMARY KEY, machine TEXT NOT NULL, host TEXT NOT NULL, model TEXT NOT NULL,
  episode TEXT NOT NULL, opened_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
  closed_ns INTEGER, opened_at_s REAL NOT NULL, peak REAL NOT NULL, windows INTEGER NOT NULL,
  phases TEXT NOT NULL, channels TEXT NOT NULL,
  acknowledged_ns INTEGER, muted_until_ns INTEGER, mute_reason TEXT
);
CREATE INDEX IF NOT EXISTS incident_opened ON incident (opened_ns);
CREATE TABLE IF NOT EXISTS note (
  incident TEXT NOT NULL REFERENCES incident (id), at_ns INTEGER NOT NULL, text TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class Finding:
    """An incident with its place: the episode, where in it the incident opened, and its channels.

    `channels` are those that contributed most to the phase in the window that opened it. `last_ns`
    is the end of the last window that speaks for it.
    """

    incident: Incident
    episode: str
    opened_at_s: float
    last_ns: int
    channels: tuple[str, ...]


class Ledger:
    """The incidents in the file at `path`, which is made when the first one is recorded.

    Raises Refused for a file that is no ledger, or that cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def record(self, found: Finding) -> None:
        """Store an incident, or what is new of one that is known. Raises Refused."""
        one = found.incident
        with self._open() as db:
            db.execute(
                "INSERT INTO incident (id, machine, host, model, episode, opened_ns, last_ns,"
                " closed_ns, opened_at_s, peak, windows, phases, channels)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET last_ns = excluded.last_ns,"
                " closed_ns = excluded.closed_ns, peak = excluded.peak,"
                " windows = excluded.windows, phases = excluded.phases",
                (
                    *(one.id, one.machine, one.host, one.model, found.episode, one.opened_ns),
                    *(found.last_ns, one.closed_ns, found.opened_at_s, one.peak, one.windows),
                    *(json.dumps(one.phases), json.dumps(found.channels)),
                ),
            )

    def close_abandoned(self) -> None:
        """Close what an earlier server left open: its machines are no longer watched."""
        if self.path.exists():
            with self._open() as db:
                db.execute("UPDATE incident SET closed_ns = last_ns WHERE closed_ns IS NULL")

    def rows(self, id: str | None = None) -> list[dict[str, Any]]:
        """Return the newest incidents, or the one of an id, as JSON values. Raises Refused.

        Nanoseconds are strings, as in events.
        """
        if self._connection is None and not self.path.exists():
            return []
        with self._open() as db:
            where, values = ("WHERE id = ?", (id,)) if id else ("", ())
            query = f"SELECT * FROM incident {where} ORDER BY opened_ns DESC LIMIT {MOST_LISTED}"
            found = [dict(row) for row in db.execute(query, values)]
            for row in found:
                notes = db.execute("SELECT at_ns, text FROM note WHERE incident = ?", (row["id"],))
                row["notes"] = [dict(note) for note in notes]
        return [_parsed(row) for row in found]

    def incidents(self, id: str | None = None) -> list[Incident]:
        """Return the same as incidents, for exports. Raises Refused for an id that is not there."""
        if id is not None:
            self._require(id)
        return [
            Incident(
                *(row["machine"], row["host"], row["model"], int(row["opened_ns"])),
                None if row["closed_ns"] is None else int(row["closed_ns"]),
                *(row["peak"], row["windows"], tuple(row["phases"])),
            )
            for row in self.rows(id)
        ]

    # ------------------------------------------------------------ what people do

    def acknowledge(self, id: str, at_ns: int | None) -> None:
        """Mark an incident as seen at a time, or as not seen for None. Raises Refused."""
        self._set(id, "acknowledged_ns = ?", (at_ns,))

    def note(self, id: str, text: str, at_ns: int) -> None:
        """Add a note to an incident. Raises Refused for an empty or overlong one."""
        self._require(id)
        _refuse_text("note", text)
        with self._open() as db:
            (count,) = db.execute("SELECT count(*) FROM note WHERE incident = ?", (id,)).fetchone()
            if count >= MOST_NOTES:
                expected = f"at most {MOST_NOTES}"
                raise Refused("note", "is one too many", expected, "Keep them elsewhere.")
            db.execute("INSERT INTO note VALUES (?, ?, ?)", (id, at_ns, text.strip()))

    def mute(self, id: str, reason: str, until_ns: int) -> None:
        """Mute an incident until a time, for a reason. Raises Refused without one."""
        _refuse_text("reason", reason)
        self._set(id, "muted_until_ns = ?, mute_reason = ?", (until_ns, reason.strip()))

    def unmute(self, id: str) -> None:
        """End the muting of an incident. Raises Refused."""
        self._set(id, "muted_until_ns = NULL, mute_reason = NULL", ())

    def _set(self, id: str, change: str, values: Sequence[object]) -> None:
        self._require(id)
        with self._open() as db:
            db.execute(f"UPDATE incident SET {change} WHERE id = ?", (*values, id))

    def _require(self, id: str) -> None:
        if not self.rows(id):
            remedy = "`GET /api/incidents` lists them."
            raise Refused(f"incident {id!r}", "is not known", "one of the ledger", remedy)

    # ------------------------------------------------------------ the file

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside one transaction; a fault of SQLite is refused in one line."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = _connect(self.path)
                with self._connection:
                    yield self._connection
            except sqlite3.Error as error:
                raise Refused(
                    self.path,
                    f"is no ledger that can be used ({error})",
                    "a file that `serve` made and may write",
                    "Move it away, or choose another with --incidents.",
                    code="ledger",
                ) from error


def beside(store: Path) -> Path:
    """Return the path of the ledger of a store: beside its folder, under its name."""
    folder = store.resolve()
    return folder.with_name(folder.name + ENDING)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, FORMAT):
        raise sqlite3.DatabaseError(f"format {version}, not {FORMAT}")
    connection.executescript(TABLES)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    return connection


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its lists, and with nanoseconds as strings."""
    times = {name: None if row[name] is None else str(row[name]) for name in row if _is_time(name)}
    notes = [{"at_ns": str(one["at_ns"]), "text": one["text"]} for one in row["notes"]]
    lists = {name: json.loads(row[name]) for name in ("phases", "channels")}
    return {**row, **times, **lists, "notes": notes}


def _is_time(name: str) -> bool:
    return name.endswith("_ns")


def _refuse_text(what: str, text: str) -> None:
    if not text.strip() or len(text) > MOST_TEXT:
        problem = "is empty" if not text.strip() else f"has {len(text)} characters"
        raise Refused(what, problem, f"1 to {MOST_TEXT} characters", "Write a short text.")
