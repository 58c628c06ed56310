"""HTML for people. This file only gathers the blueprints."""

from flask import Blueprint

BLUEPRINTS: tuple[Blueprint, ...] = ()
