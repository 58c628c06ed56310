"""HTML for people. This file only gathers the blueprints."""

from flask import Blueprint

from webapp.pages import first_run, people, settings, shell, sign_in, tokens, topic, topics

BLUEPRINTS: tuple[Blueprint, ...] = (
    sign_in.blueprint,
    first_run.blueprint,
    settings.blueprint,
    tokens.blueprint,
    people.blueprint,
    shell.blueprint,
    topic.blueprint,
    topics.blueprint,
)
