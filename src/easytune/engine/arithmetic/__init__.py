"""Adapters scaled and added before they are exported."""
