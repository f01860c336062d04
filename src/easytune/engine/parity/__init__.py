"""Whether what was exported is the model that was trained: both are run and compared."""
