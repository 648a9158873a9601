"""Cartoon portraits with captions, and the programs that train and judge the shipped miniatures on them."""
