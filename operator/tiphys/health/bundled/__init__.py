"""Bundled health rules: declarative tables and the small engine that reads them."""

from tiphys.health.bundled.tables import bundled, find_check, kinds, rules

__all__ = ["bundled", "find_check", "kinds", "rules"]
