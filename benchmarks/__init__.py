"""Speed and memory as ratios, runnable by anyone."""
