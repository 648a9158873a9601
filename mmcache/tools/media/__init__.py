"""Image and video files, and what is made of them."""
