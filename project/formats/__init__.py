"""How dates are written: ISO 8601, so that nobody wonders which number is the month."""
