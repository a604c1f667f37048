"""Tenancy: every row belongs to one customer, and every piece of work acts for one customer.

Use when: one database serves several customers.
Not when: each customer has a database of their own - the connection is the tenant then.
Costs:    one column, first in every index.
Fails:    no tenant known -> the work is refused, never done for everybody.
Copy:     this file, kit/context.py, kit/errors.py.
Origin:   the pool model of the AWS SaaS Lens.
"""

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column

from app.kit import context
from app.kit.errors import Forbidden


class TenantMissing(Forbidden):
    """The token, message or job names no tenant."""

    code = "tenant_missing"


class TenantScoped(MappedAsDataclass):
    """Mixin for tables whose rows belong to a tenant."""

    tenant_id: Mapped[str] = mapped_column(Text)


def require_tenant() -> str:
    """Return the tenant of the work in hand.

    Raises:
        TenantMissing: nobody said whose data this is about.
    """
    tenant = context.current().tenant
    if not tenant:
        raise TenantMissing("The request names no tenant.")
    return tenant
