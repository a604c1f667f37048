"""kit/context.py."""

from app.kit.context import Context, bind, current


def test_outside_any_work_the_context_is_empty() -> None:
    """Code that runs for nobody sees empty fields instead of an error."""
    assert current() == Context()


def test_what_an_inner_layer_learns_the_outer_one_sees() -> None:
    """The log line, an outer layer, sees the tenant that the authentication layer found."""
    with bind(Context(request_id="r1")) as outer:
        current().tenant = "acme"

    assert outer.tenant == "acme"


def test_the_previous_context_returns_after_the_block() -> None:
    """Work inside other work, such as a settlement, does not leak its tenant."""
    with bind(Context(tenant="acme")):
        with bind(Context(tenant="zeta")):
            assert current().tenant == "zeta"
        assert current().tenant == "acme"
