"""The feature flags of orders; each name is spelled here and nowhere else in the code. See docs/feature-flags.md."""

from datetime import date

from app.patterns.feature_flags import Flag, KillSwitch, ReleaseFlag

NEW_ORDERS_STOPPED = KillSwitch(
    name="orders-new-stopped",
    owner="service",
    purpose="New orders are refused with 503 and Retry-After; others are shown, cancelled and settled as ever.",
    review=date(2028, 6, 30),
)
PAID_IN_BACKGROUND = ReleaseFlag(
    name="orders-paid-in-background",
    owner="service",
    purpose="An order is answered with 202 before the payment provider is asked; the worker asks, at once.",
    expires=date(2028, 6, 30),
)
REGISTERED: tuple[Flag, ...] = (NEW_ORDERS_STOPPED, PAID_IN_BACKGROUND)
