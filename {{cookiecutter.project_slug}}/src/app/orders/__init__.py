"""Floor 3, the example domain: a customer places an order, pays it through an external provider, and may cancel it.

routes.py      the HTTP face
service.py     the use cases; transactions begin and end here
models.py      the order and its state machine
queries.py     the SQL
payments.py    the port to the payment provider, and its HTTP client
settlement.py  what the worker does for orders that the provider left open
timeline.py    what the consumer of our own events does
events.py      what we announce
flags.py       what is released or stopped at run time
probe.py       what a customer does, tried from outside
"""
