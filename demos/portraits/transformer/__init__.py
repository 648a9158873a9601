"""A diffusion transformer of PixArt's kind, trained on the same portraits as the U-Net."""
