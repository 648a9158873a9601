"""Modular pipelines of diffusers, a module per family: the blocks between the encoders and the decoder."""
