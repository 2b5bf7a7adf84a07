"""Instrumentation for Python services."""
