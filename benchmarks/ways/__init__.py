"""One trainer per file, each run by a Python of its own: see `benchmarks.train`.

A file here imports nothing but its own trainer's packages and `benchmarks.ways.measuring`, for the
virtual environment of a peer has no EasyTune in it.
"""
