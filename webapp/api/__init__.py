"""JSON for plugins and scripts. This file only gathers the blueprints."""

from flask import Blueprint

BLUEPRINTS: tuple[Blueprint, ...] = ()
