"""WebSockets that come in: the Action Cable dialect, its channels, and who may open a socket."""
