"""The operator's commands that have commands of their own, such as `app outbox list`; `cli.py` puts them together."""


class CommandFailed(Exception):
    """The command cannot do its work; the message is for the operator."""
