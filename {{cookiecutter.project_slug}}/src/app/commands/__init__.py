"""The operator's commands that have commands of their own, such as `app outbox list`; `cli.py` puts them together."""
