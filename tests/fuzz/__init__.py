"""Coverage-guided fuzzing of the engine, for `make fuzz`: targets, what to begin with, and the runner."""
