"""Fakes with the verbs of the real things: they speak the public protocols and import nothing of the hub."""
