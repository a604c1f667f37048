"""Tenancy: every row belongs to one customer, every piece of work acts for one customer, and the database holds to it.

Use when: one database serves several customers.
Not when: each customer has a database of their own - the connection is the tenant then.
Costs:    one column, first in every index; one statement more per transaction, `set_config`. A condition that is not
          leakproof, such as `lower(email) = ...`, finds no index under a policy: index a generated column instead.
Fails:    closed: no tenant known -> no rows, and the work is refused; a query that forgets the tenant sees one's own.
Copy:     this file, kit/context.py, kit/db.py, kit/errors.py, kit/histogram.py, kit/instruments.py, migration
          0000_tenancy; policies and grants for each table, as in `0003_orders`.
Origin:   the pool model of the AWS SaaS Lens; PostgreSQL's row security policies.

`kit.db.transaction` tells PostgreSQL the tenant of the work in hand, for that transaction alone. Each tenant's table
forces its policies on everybody, its owner included; the service is neither owner nor superuser. What has to see all
tenants' rows, such as a relay, runs as a role of its own, whose policies say which tables that is.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit import context
from app.kit.db import transaction
from app.kit.errors import Forbidden
from app.kit.instruments import counter

USER_ROLE = "app_user"
"""Sees the rows of the tenant in hand."""
JOBS_ROLE = "app_jobs"
"""Sees the rows of all tenants, in the tables and columns that its policies and grants name."""
CROSSINGS = counter("tenancy_crossings_total", "Transactions that looked at the rows of all tenants.", {"job_name": 20})
_log = structlog.get_logger(__name__)


class TenantMissing(Forbidden):
    """The token, message or job names no tenant."""

    code = "tenant_missing"


def require_tenant() -> str:
    """Return the tenant of the work in hand.

    Raises:
        TenantMissing: nobody said whose data this is about.
    """
    tenant = context.current().tenant
    if not tenant:
        raise TenantMissing("The request names no tenant.")
    return tenant


@dataclass(slots=True)
class Crossing:
    """One transaction that looks at the rows of all tenants."""

    session: AsyncSession
    rows: int = 0
    """How many rows were taken; set inside the block, told by the log."""


@asynccontextmanager
async def across_tenants(jobs_engine: AsyncEngine, *, job: str) -> AsyncIterator[Crossing]:
    """Open a transaction for all tenants, which leaves a trace: counted, and in the log where it took rows.

    `jobs_engine` acts as `JOBS_ROLE`. What is then done about one row belongs into the work of its tenant.

    Raises:
        DatabaseUnavailable: as `kit.db.transaction` does.
    """
    CROSSINGS.labels(job).inc()
    async with transaction(jobs_engine) as session:
        crossing = Crossing(session)
        yield crossing
    if crossing.rows:
        _log.info("security.tenants_crossed", job=job, rows=crossing.rows)
