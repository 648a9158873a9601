"""Where sampling stands: read from a pipeline's schedulers, or from timesteps alone."""
