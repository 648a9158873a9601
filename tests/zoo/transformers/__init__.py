"""Every pipeline class of diffusers whose denoiser is a transformer, small and random."""
