"""Fills the SQLite database of a Lobar that is stopped with images, as its own code would have: adapters/sql/src/store.

Every image came by a bucket, was tried once and is finished: of a thousand one failed and 14 are left to a person, of the rest a
tenth is flagged. It has its three events, its finding where there is one, and is counted in `tally`. What is not filled in: the
objects themselves, batches, patients, and the entries of the audit record, whose chain no SQL can make.
"""

import json
import sqlite3
import time
import uuid

# The namespace of ids of images, and how they are named: core/src/object.rs.
IMAGES = uuid.UUID("6c6f6261-722d-5a17-9e1d-696d61676573")
BUCKET = "xrays"
# Microseconds over which the images are spread: shorter than events are kept.
SPREAD = 20 * 24 * 3600 * 1_000_000
FINDING = {
    "v": 1,
    "model": {"version": "growth", "sha256": "0" * 64, "preprocessing": "grey224-v1"},
    "threshold": 0.5,
    "subtype": None,
    "heatmap": {"width": 7, "height": 7, "cells": [round(cell / 48, 8) for cell in range(49)]},
    "warnings": [],
    "timings_ms": {"fetch": 1.234567, "decode": 12.345678, "wait": 1.234567, "infer": 12.345678},
}


class Database:
    """The database of a data folder, which is to hold `most` images at last, of `sites` sites."""

    def __init__(self, data, most, sites):
        self.file, self.sites, self.step = data / "lobar.db", sites, max(SPREAD // most, 1)
        self.first = int(time.time() * 1e6) - SPREAD - 3600 * 1_000_000
        self.images = self.flagged = 0

    def grow(self, images):
        """Adds images, newer than those before, until there are so many."""
        connection = sqlite3.connect(self.file, isolation_level=None)
        try:
            # Quick rather than safe: what breaks here is thrown away. Lobar sets the write-ahead log again.
            for pragma in ["journal_mode = off", "synchronous = off", "foreign_keys = off", "cache_size = -1000000"]:
                connection.execute(f"pragma {pragma}").fetchall()
            connection.execute("begin")
            self.fill(connection, range(self.images, images))
            connection.execute("commit")
            self.images = images
            self.flagged = connection.execute("select count(*) from image where flag = 'yes'").fetchone()[0]
        finally:
            connection.close()

    def fill(self, connection, numbers):
        # Made again at the end: many times quicker than keeping them in order row by row.
        listed = "select name, sql from sqlite_master where type = 'index' and tbl_name = 'image' and sql is not null"
        indexes = connection.execute(listed).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}")
        last = connection.execute("select coalesce(max(rowid), 0) from image").fetchone()[0]
        connection.executemany(
            "insert into image (id, key_id, bucket, key, version, etag, sequencer, sequence, size, site, lane, state, reason,"
            f" flag, attempts, fence, received_at, finished_at, touched_at) values ({', '.join('?' * 19)})",
            (self.row(number) for number in numbers),
        )
        # The probability lies on the side of the threshold that the flag says.
        connection.execute(
            "insert into finding (image, model_version, probability, body, made_at)"
            " select id, 'growth', probability, json_set(?, '$.probability', probability, '$.flagged',"
            " json(iif(flag = 'yes', 'true', 'false')), '$.label', iif(flag = 'yes', 'PNEUMONIA', 'NORMAL')), finished_at"
            " from (select *, iif(flag = 'yes', 0.75, 0.25) as probability from image where rowid > ? and state = 'ready')",
            (json.dumps(FINDING), last),
        )
        connection.execute(
            "insert into event (image, state, at)"
            " select id, iif(n = 2, state, iif(n = 1, 'analysing', 'queued')), iif(n = 2, finished_at, received_at + n * 2000000)"
            " from image cross join (select 0 as n union all select 1 union all select 2) where image.rowid > ?"
            " order by image.rowid, n",
            (last,),
        )
        connection.execute("delete from tally")
        connection.execute(
            "insert into tally (site, stage, flag, lane, images)"
            " select site, state, flag, lane, count(*) from image group by 1, 2, 3, 4"
        )
        connection.execute("insert or ignore into site (name, added_at) select distinct site, ? from tally", (self.first,))
        for _, sql in indexes:
            connection.execute(sql)

    def row(self, number):
        site = f"site{number % self.sites}"
        key, version = f"incoming/{site}/{number}.jpg", f"{number:032x}"
        at, lane = self.first + number * self.step, "stat" if number % 20 == 0 else "routine"
        state, reason = "ready", None
        if number % 1000 == 1:
            state, reason = "failed", "fetch_failed"
        elif number % 70 == 11:
            state, reason = "needs_human", "blank"
        flag = "none" if state != "ready" else "yes" if number % 10 == 3 else "no"
        name = f"{len(BUCKET)}:{BUCKET}{len(key)}:{key}"
        image, of_key = (uuid.uuid5(IMAGES, f"{name}{rest}").bytes for rest in [f"v{len(version)}:{version}", "-0:"])
        order = f"{at:018X}"
        return (
            image, of_key, BUCKET, key, version, f"{number:032x}", order, order.rjust(64, "0"), 900_000, site, lane, state,
            reason, flag, 1, 1, at, at + 5_000_000, at + 5_000_000,
        )  # fmt: skip

    def some(self, count):
        """Images from all over the table: id, and when each was received."""
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)
        try:
            rows = range(1, self.images + 1, max(self.images // count, 1))
            found = [connection.execute("select id, received_at from image where rowid = ?", (row,)).fetchone() for row in rows]
        finally:
            connection.close()
        return [(uuid.UUID(bytes=image), at) for image, at in found]
