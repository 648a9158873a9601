"""The second generation of the miniatures: 128 x 128 pixels, on latents as small as before."""
