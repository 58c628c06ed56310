"""A gateway of ours on a local socket: `PlaygroundGateway` in a test, `switchyard playground gateway` as a process."""

from webapp.playground.gateway.gateway import PlaygroundGateway

__all__ = ["PlaygroundGateway"]
