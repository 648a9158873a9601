"""What to do when: policies, forecasts, the plans made of them, and plans as files."""
