"""Customers: who may buy."""
