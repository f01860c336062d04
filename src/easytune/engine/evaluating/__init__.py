"""The parts of an evaluation job: asking, likelihood, forgetting, safety, benchmarks, judge."""
