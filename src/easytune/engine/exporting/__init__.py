"""Exports: a model written in another form, and proved to be the same."""
