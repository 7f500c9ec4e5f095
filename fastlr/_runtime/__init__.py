"""Threads, the terminal, callbacks and warnings: what surrounds the arithmetic."""
