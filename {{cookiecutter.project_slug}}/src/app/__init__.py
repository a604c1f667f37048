"""The service. `main.py` is its table of contents."""
