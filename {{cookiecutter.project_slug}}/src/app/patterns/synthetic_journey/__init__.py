"""Synthetic journey: a customer's steps, tried from outside all the time, by a process of their own.

Use when: it must be known that customers are served, also while none is there, and from where they are.
Not when: it is enough that a process answers - a health probe asks that, and costs no order.
Costs:    a process, and the requests of one customer every interval: rows, events and log lines like any other's.
Fails:    a step that fails or hangs ends its run, is named in a metric and a line, and the next run comes on time; an
          interrupted run is not judged, and what it left is for a later one to clean up.
Copy:     this folder, kit/clock.py, kit/context.py, kit/histogram.py, kit/ids.py, kit/instruments.py.
Origin:   black-box monitoring of "Site Reliability Engineering" (2016), chapter 6; RFC 6749, 4.4, for the login.

    steps.py               what a step is, and the reasons for which it fails
    journey.py             the steps in order, and the runs in time
    client_credentials.py  the login of a program, whose secret may change at any time
    telemetry.py           what is counted; importing this folder makes these metrics
"""

from .client_credentials import ClientCredentials
from .journey import Journey
from .steps import Reason, Step, StepFailed, expect

__all__ = ["ClientCredentials", "Journey", "Reason", "Step", "StepFailed", "expect"]
