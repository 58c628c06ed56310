"""WebSockets that go out: one socket a gateway, and what is said over it."""
