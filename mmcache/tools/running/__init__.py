"""One way to run a pipeline: timed, counted, in batches, and left as it was."""
