"""What a dataset holds: facts per row, statistics, leaks, and what a model would see."""
