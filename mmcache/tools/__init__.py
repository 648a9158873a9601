"""What measures and chooses: comparison, sweep, tuning, inspection."""
