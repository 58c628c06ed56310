"""Every door to the outside: pages, REST, and the two kinds of WebSockets."""

__version__ = "0.1.0"
