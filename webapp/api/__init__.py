"""JSON for plugins and scripts. This file only gathers the blueprints."""

from flask import Blueprint

from webapp.api import (
    activity,
    agent_settings,
    agents,
    approvals,
    chats,
    creatives,
    gateways,
    health,
    me,
    messages,
    notices,
    openapi,
    quota,
    replies,
    status,
    tasks,
    topics,
    tray,
)

CALLS = (
    me.calls,
    creatives.calls,
    gateways.calls,
    tray.calls,
    status.calls,
    topics.calls,
    messages.calls,
    tasks.calls,
    agent_settings.calls,
    agents.calls,
    replies.calls,
    notices.calls,
    approvals.calls,
    chats.calls,
    quota.calls,
    activity.calls,
    openapi.calls,
    health.calls,
)
BLUEPRINTS: tuple[Blueprint, ...] = tuple(calls.blueprint for calls in CALLS)
