"""JSON for plugins and scripts. This file only gathers the blueprints."""

from flask import Blueprint

from webapp.api import agents, replies

CALLS = (agents.calls, replies.calls)
BLUEPRINTS: tuple[Blueprint, ...] = tuple(calls.blueprint for calls in CALLS)
