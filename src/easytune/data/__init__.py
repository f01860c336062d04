"""Datasets: reading, recognising, splitting, and turning rows into tokens. No torch in here."""
