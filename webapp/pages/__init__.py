"""HTML for people. This file only gathers the blueprints."""

from flask import Blueprint

from webapp.pages import first_run, shell, sign_in, topic

BLUEPRINTS: tuple[Blueprint, ...] = (
    sign_in.blueprint,
    first_run.blueprint,
    shell.blueprint,
    topic.blueprint,
)
