"""Many prompts over many processes and machines: resumable, and the same images however they were split."""
