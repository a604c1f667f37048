"""What can go wrong with a customer.

NotFound
└── CustomerNotFound
"""

from app.kit.errors import NotFound


class CustomerNotFound(NotFound):
    """No such customer for this tenant."""

    code = "customer_not_found"
    title = "Customer not found"
