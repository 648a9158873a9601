"""Clips of moving portraits, and the programs that train and judge the text-to-video miniature on them."""
