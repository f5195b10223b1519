"""Puts a model version behind an endpoint: looks, plans, shows the plan, applies it."""
