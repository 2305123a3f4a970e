"""`make attacks`: what honest clients notice while somebody attacks. Writes docs/attacks.md."""
