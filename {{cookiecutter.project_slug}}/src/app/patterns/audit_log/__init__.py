"""Audit log: who did what to which, written once, and verifiable from outside the database.

Use when: somebody will have to prove, to others, what was done and that nobody has changed the record since.
Not when: one only wants to know for oneself - the log's lines tell, and cost less.
Costs:    one insert per action, a sealer and an exporter in the worker, two objects per tenant and export.
Fails:    worker down -> entries wait unsealed, and their age grows; storage down -> segments wait in the database;
          a tampered segment is not exported, counted, and named by `app audit verify`; a month is not sealed and
          exported -> it cannot be dropped.
Copy:     this folder, kit/clock.py, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py, kit/instruments.py,
          kit/object_storage, kit/redaction.py, migration 0005_audit_log.
Origin:   RFC 6962, Certificate Transparency (2013); Crosby and Wallach, Efficient Data Structures for Tamper-Evident
          Logging (2009).

Writers only append, and wait for nobody: no chain runs through their transactions. A sealer follows within seconds.
    writer.py        record(): the insert in the business transaction
    merkle.py        one hash for many entries, and proofs that an entry is among them
    segments.py      an entry's line, a segment's seal
    sealer.py        which entries are settled, and sealing them
    store.py         the write-once storage that the settings name, of kit/object_storage
    archive.py       what an exported object looks like
    checkpoints.py   the statement that an export ends with, and its signature
    exporter.py      segments and checkpoints on their way out of the database
    reading.py       the queries that exporter, verifier and operator share
    dropped.py       the record of what went with a month that was dropped
    dropping.py      before_drop(): whether a month may go, and writing that record
    verification.py  naming the first position where database or export are not what was sealed
"""

from .checkpoints import Signer
from .dropping import NotDroppable, before_drop
from .exporter import Exporter
from .sealer import Sealer
from .settings import AuditLogSettings
from .store import open_store
from .verification import Damage, verify_database, verify_export
from .writer import digest, record

__all__ = [
    "AuditLogSettings",
    "Damage",
    "Exporter",
    "NotDroppable",
    "Sealer",
    "Signer",
    "before_drop",
    "digest",
    "open_store",
    "record",
    "verify_database",
    "verify_export",
]
