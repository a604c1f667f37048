"""Loaded by the fuzzer: what the description of an API cannot say."""

from typing import Any
from uuid import uuid4

import schemathesis


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: "schemathesis.Case[Any]", _kwargs: dict[str, Any]) -> None:
    """Give each request that is right a key of its own: a key that comes again with another content is a mistake."""
    wrong = case.meta is not None and case.meta.generation.mode == schemathesis.GenerationMode.NEGATIVE
    if not wrong and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid4())
