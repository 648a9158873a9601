"""`accelerate`, the session that it returns, what it refuses, and the report."""
