"""What drives the denoisers and side networks of one pipeline, step by step."""
