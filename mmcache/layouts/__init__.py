"""How models are made smaller: what a cut is, and the cuts of each shape of model."""
