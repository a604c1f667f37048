"""The use cases of orders. Each `async with transaction` below is where a transaction begins and ends."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.kit.clock import Clock
from app.kit.context import Context, bind
from app.kit.db import transaction
from app.kit.errors import Unavailable
from app.kit.ids import uuid7
from app.orders import audit, events, flags, queries, telemetry
from app.orders.errors import OrdersStopped
from app.orders.models import Order, OrderState, TimelineEntry
from app.orders.payments import Decision, PaymentProvider, PaymentsUnavailable
from app.patterns import outbox
from app.patterns.feature_flags import FixedFlags, Flags
from app.patterns.idempotency import UNKEYED, Once
from app.patterns.read_replicas import ReadReplicas
from app.patterns.tenancy import across_tenants

_STOPPED_SECONDS = 60  # what an incident lasts at least; clients that obey come back without a rush
_log = structlog.get_logger(__name__)
_tracer = trace.get_tracer(__name__)


class OrderSettings(BaseModel):
    """How orders are settled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settle_after_seconds: float = Field(
        10.0, gt=0, description="When the worker takes over an order that the provider left open; above its timeout."
    )
    settle_max_seconds: float = Field(300.0, gt=0, description="Longest pause between two tries for one order.")


class Orders:
    """What callers, be it a route or a job, can do with orders."""

    def __init__(
        self,
        engine: AsyncEngine,
        payments: PaymentProvider,
        clock: Clock,
        settings: OrderSettings,
        *,
        reads: ReadReplicas | None = None,
        features: Flags | None = None,
    ) -> None:
        self._engine = engine
        self._reads = reads or ReadReplicas(engine)
        self._payments = payments
        self._clock = clock
        self._settings = settings
        self._features = features or FixedFlags()

    async def place(
        self, tenant: str, *, currency: str, items: list[dict[str, Any]], once: Once[Order] = UNKEYED
    ) -> Order:
        """Write the order, ask the provider, and write its answer.

        The provider is asked between two transactions: a slow provider holds no database connection. If this process
        dies in between, the order is found open by the worker, which asks again; the provider knows the order's id.
        `once` notes the order in the first transaction and the answer in the second: a retry finds one or the other.

        Raises:
            OrdersStopped: somebody has thrown the switch.
        """
        now = self._clock.now()
        in_background = self._features.is_on(flags.PAID_IN_BACKGROUND)
        settle_after = timedelta(seconds=0 if in_background else self._settings.settle_after_seconds)
        order = Order.receive(
            uuid7(),
            tenant_id=tenant,
            currency=currency,
            items=items,
            at=now,
            settle_after=now + settle_after,
        )
        async with transaction(self._engine) as session:
            earlier = await once.begin(session, str(order.id))
            if earlier is not None:
                return await self._look(session, tenant, UUID(earlier), once)
            if self._features.is_on(flags.NEW_ORDERS_STOPPED):  # after a look at the key: a retry is no new order
                raise OrdersStopped("No new orders are taken at the moment.", retry_after_seconds=_STOPPED_SECONDS)
            session.add(order)
        if in_background:
            return await self._left_open(order, once)
        try:
            return await self._authorise(order, once)
        except PaymentsUnavailable:
            return await self._left_open(order, once)

    async def get(self, tenant: str, order_id: UUID) -> tuple[Order, Sequence[TimelineEntry]]:
        """Return one order and what is known to have happened to it.

        Raises:
            OrderNotFound: there is none for this tenant.
        """

        async def query(session: AsyncSession) -> tuple[Order, Sequence[TimelineEntry]]:
            order = await queries.get(session, tenant, order_id)
            return order, await queries.timeline(session, tenant, order_id)

        return await self._reads.read(query)

    async def page(self, tenant: str, *, before: UUID | None, limit: int) -> Sequence[Order]:
        """Return up to `limit` orders, newest first, those older than `before` if given."""
        return await self._reads.read(lambda session: queries.page(session, tenant, before=before, limit=limit))

    async def cancel(self, tenant: str, order_id: UUID, *, once: Once[Order] = UNKEYED) -> Order:
        """Cancel a placed order; cancelling it again changes nothing. The worker then releases the payment.

        Raises:
            OrderNotFound: there is none for this tenant.
            OrderStateConflict: it is not placed: the payment is still open, or was refused.
        """
        now = self._clock.now()
        async with transaction(self._engine) as session:
            await once.begin(session, str(order_id))
            order = await queries.get(session, tenant, order_id, lock=True)
            news = order.state is not OrderState.CANCELLED
            if news:
                before = audit.state_of(order)
                order.cancel(at=now)
                await audit.record(session, events.CANCELLED, order, before=before)
                await outbox.publish(session, events.of(order, at=now))
            await once.finish(session, order)
        if news:
            telemetry.ORDERS_SETTLED.labels(order.state).inc()
        return order

    async def settle_open(self, jobs_engine: AsyncEngine, *, limit: int) -> int:
        """Finish what the provider left open, for any tenant, and return how many orders were tried.

        `jobs_engine` finds them; what is done about one is done as its tenant. An order that stays open is tried again
        after half its age, within the bounds of the settings.
        """
        now = self._clock.now()
        async with across_tenants(jobs_engine, job="settlement") as crossing:
            open_orders = await queries.lease_open(
                crossing.session,
                now=now,
                shortest=timedelta(seconds=self._settings.settle_after_seconds),
                longest=timedelta(seconds=self._settings.settle_max_seconds),
                limit=limit,
            )
            crossing.rows = len(open_orders)
        async with asyncio.TaskGroup() as tasks:
            for order in open_orders:
                tasks.create_task(self._settle(order))
        return len(open_orders)

    async def _settle(self, order: Order) -> None:
        work = Context(request_id=uuid7().hex, tenant=order.tenant_id, actor="settlement")
        # A span of its own: the provider's call and the event belong to one trace here too, without a request.
        with bind(work), _tracer.start_as_current_span("settle order", record_exception=False):
            try:
                if order.state is OrderState.PENDING:
                    await self._authorise(order, UNKEYED)
                else:
                    await self._release(order)
            except Unavailable as exc:
                telemetry.SETTLEMENTS_POSTPONED.inc()
                _log.warning("orders.settlement_postponed", order_id=str(order.id), reason=exc.code)

    async def _left_open(self, order: Order, once: Once[Order]) -> Order:
        """Return an order that the worker will settle."""
        if once is not UNKEYED:
            async with transaction(self._engine) as session:
                await once.release(session)
        return order

    async def _look(self, session: AsyncSession, tenant: str, order_id: UUID, once: Once[Order]) -> Order:
        """Return the order of a request that did not live to answer; a retry may look, and the worker settles."""
        order = await queries.get(session, tenant, order_id)
        if order.state is not OrderState.PENDING:
            await once.finish(session, order)
        return order

    async def _authorise(self, order: Order, once: Once[Order]) -> Order:
        decision = await self._payments.authorise(order.id, amount_minor=order.total_minor, currency=order.currency)
        async with transaction(self._engine) as session:
            order = await queries.get(session, order.tenant_id, order.id, lock=True)
            news = order.state is OrderState.PENDING  # else somebody was faster; the provider told them the same
            if news:
                before = audit.state_of(order)
                order.place() if decision is Decision.AUTHORISED else order.refuse()
                event = events.of(order, at=self._clock.now())
                await audit.record(session, event.type, order, before=before)
                await outbox.publish(session, event)
            await once.finish(session, order)
        if news:
            telemetry.ORDERS_SETTLED.labels(order.state).inc()
        return order

    async def _release(self, order: Order) -> None:
        await self._payments.release(order.id)
        async with transaction(self._engine) as session:
            order = await queries.get(session, order.tenant_id, order.id, lock=True)
            before = audit.state_of(order)
            order.release()
            await audit.record(session, audit.RELEASED, order, before=before)
