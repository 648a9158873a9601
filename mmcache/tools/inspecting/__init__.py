"""What a denoiser is made of: its U, and what is left of it on a cached step."""
