"""kit/redaction.py: what is told of an exception names the rule that was broken, and not the value that broke it."""

from collections.abc import Iterator

import httpx
import pytest
from asyncpg import ConnectionDoesNotExistError
from fastapi.exceptions import ResponseValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Executable, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.kit.redaction import attributes_of, message_of
from app.orders.models import Order

SECRET = "hunter2-canary"
TABLE = "CREATE TABLE customer (name text CONSTRAINT name_key UNIQUE, age int CONSTRAINT grown_up CHECK (age > 17))"
FUNCTION = """
    CREATE FUNCTION refuse(value text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'no %', value USING ERRCODE = 'check_violation';
    END
    $$
"""
INSERT = "INSERT INTO customer (name, age) VALUES (:value, 20)"
TWICE = 'duplicate key value violates unique constraint "name_key"'
MINOR = 'new row for relation "customer" violates check constraint "grown_up"'
FAILING = {
    "a value twice": (f"{INSERT}, (:value, 30)", f"sqlstate 23505, table customer, constraint name_key, {TWICE}"),
    "a rule": (INSERT.replace("20", "7"), f"sqlstate 23514, table customer, constraint grown_up, {MINOR}"),
    "a function that refuses": ("SELECT refuse(:value)", "sqlstate 23514"),
    "text that is no number": ("SELECT CAST(CAST(:value AS text) AS int)", "sqlstate 22P02"),
    "text that is no JSON": ("SELECT CAST(CAST(:value AS text) AS jsonb)", "sqlstate 22P02"),
    "text in place of a number": ("SELECT CAST(:value AS int)", "sqlstate 22000"),
    "no such table": ("SELECT :value FROM nowhere", 'sqlstate 42P01, relation "nowhere" does not exist'),
}


def chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and all that led to it."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


async def failure_of(engine: AsyncEngine, statement: Executable, **bound: str) -> SQLAlchemyError:
    """Return the error of a statement."""
    async with engine.begin() as connection:
        for command in (TABLE, FUNCTION):
            await connection.execute(text(command))
    with pytest.raises(SQLAlchemyError) as caught:
        async with engine.begin() as connection:
            await connection.execute(statement, bound)
    return caught.value


@pytest.mark.parametrize(("statement", "told"), FAILING.values(), ids=FAILING)
async def test_a_failing_statement_tells_names_and_no_values(engine: AsyncEngine, statement: str, told: str) -> None:
    """Of SQLAlchemy's error, the adapter's and the driver's, none tells what was bound; all tell what happened."""
    error = await failure_of(engine, text(statement), value=SECRET)

    messages = [message_of(exc) for exc in chain(error)]
    assert messages[0].startswith(f"{told} [SQL: ")
    assert set(messages[1:3]) == {told}
    assert [message for message in messages if SECRET in message] == []


async def test_a_value_that_the_driver_refuses_is_not_told(engine: AsyncEngine) -> None:
    """An error before anything is sent has its statement, too, and no parameter."""
    error = await failure_of(engine, select(Order.id).where(Order.id == SECRET))

    told = "sqlstate 22000 [SQL: SELECT orders.id FROM orders WHERE orders.id = $1::UUID]"
    assert message_of(error) == told
    assert SECRET not in "".join(map(message_of, chain(error)))


def test_a_lost_connection_is_told_in_the_drivers_words() -> None:
    """What the driver itself says, without the server, holds no values."""
    error = ConnectionDoesNotExistError("connection was closed in the middle of operation")

    assert message_of(error) == "sqlstate 08003, connection was closed in the middle of operation"


async def test_our_own_words_for_a_failing_statement_stay(engine: AsyncEngine) -> None:
    """An error of ours with a database's as its cause tells its own message."""
    error = await failure_of(engine, text("SELECT :value FROM nowhere"), value=SECRET)
    ours = RuntimeError("The customer was not written.")
    ours.__cause__ = list(chain(error))[2]

    assert message_of(ours) == "The customer was not written."


async def test_the_engine_hides_what_is_bound(engine: AsyncEngine) -> None:
    """Even the plain text of the error, as a library may log it, shows the statement without its parameters."""
    error = await failure_of(engine, text("SELECT :value FROM nowhere"), value=SECRET)

    assert "SELECT $1" in str(error)
    assert SECRET not in str(error)


class Customer(BaseModel):
    """What is validated."""

    model_config = ConfigDict(extra="forbid")

    age: int
    friends: list["Customer"] = []


def test_a_failing_validation_tells_rules_and_no_values() -> None:
    """Where the mistake is and which rule was broken; neither the value nor a name that the sender invented."""
    with pytest.raises(ValidationError) as caught:
        Customer.model_validate({"age": SECRET, "friends": [{"age": 7, SECRET: 1}]})

    assert message_of(caught.value) == "2 validation error(s): age: int_parsing, friends.0: extra_forbidden"


def test_a_wrong_answer_of_our_own_tells_no_values() -> None:
    """FastAPI's errors are lists of the same form."""
    error = ResponseValidationError([{"type": "int_parsing", "loc": ("response", "age"), "msg": "x", "input": SECRET}])

    assert message_of(error) == "1 validation error(s): response.age: int_parsing"


class Broken(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("Bearer abc was refused"), "Bearer [token] was refused"),
        (ValueError(f"can't use {SECRET!r}, isn't 7"), "can't use '…', isn't 7"),
        (httpx.InvalidURL("http://ann:hunter2@host"), "http://[credentials]@host"),
        (KeyError("orders"), "'orders'"),
        (ExceptionGroup("two", [ValueError(SECRET)]), "two (1 sub-exception)"),
        (Broken(), "<no message: __str__ failed>"),
    ],
    ids=["redacted", "value", "URL", "plain", "group", "broken"],
)  # fmt: skip
def test_any_other_message_is_redacted(error: BaseException, told: str) -> None:
    """What no library quotes by rule is searched for what can be recognised."""
    assert message_of(error) == told


def test_a_span_is_told_no_more_than_the_log() -> None:
    """Type and message under the names of the semantic conventions; the stack is in the log line of the same trace."""
    assert attributes_of(ValueError("to ann@mail.example")) == {
        "exception.type": "ValueError",
        "exception.message": "to [email]",
    }
    assert attributes_of(httpx.ReadTimeout("late"))["exception.type"] == "httpx.ReadTimeout"
