"""HTML for people. This file only gathers the blueprints."""

from flask import Blueprint

from webapp.pages import (
    activity,
    agents,
    approvals,
    creatives,
    doctor,
    first_run,
    now,
    people,
    plugins,
    renewal,
    search,
    settings,
    shell,
    sign_in,
    supervisor,
    tasks,
    tokens,
    topic,
    topics,
    trace,
)

BLUEPRINTS: tuple[Blueprint, ...] = (
    sign_in.blueprint,
    first_run.blueprint,
    settings.blueprint,
    tokens.blueprint,
    people.blueprint,
    shell.blueprint,
    renewal.blueprint,
    topic.blueprint,
    topics.blueprint,
    now.blueprint,
    approvals.blueprint,
    tasks.blueprint,
    agents.blueprint,
    supervisor.blueprint,
    creatives.blueprint,
    activity.blueprint,
    plugins.blueprint,
    doctor.blueprint,
    search.blueprint,
    trace.blueprint,
)
