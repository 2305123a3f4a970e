"""What one compatibility check may cost. Steps are counted, not timed: a verdict is reproducible."""

from typing import Final

from schemas.compatibility.report import CompatibilityLimit

MAX_STEPS: Final = 25_000
"""Pairs of subschemas compared in one direction of a check; about a second."""

MAX_AVRO_STEPS: Final = 100_000
"""The same for Avro, whose steps are shorter."""

MAX_SAMPLES: Final = 4_000
"""Subschemas for which values are made up in one direction of a check."""

MAX_NATIVE_WORK: Final = 200_000_000
"""Steps of 10 ns that validators may take in one direction of a check, for the proof and again for counterexamples."""

MAX_NESTING: Final = 60
"""Subschemas compared inside one another."""

MAX_DIFFERENCES: Final = 100
"""Differences listed for one direction."""

MAX_WITNESSED: Final = 20
"""Differences of one direction for which a counterexample is searched."""

MAX_CANDIDATES: Final = 400
"""Documents tried for one difference."""

MAX_FINITE: Final = 512
"""Values of a range that are tried one by one rather than reasoned about."""

MAX_BRANCHES: Final = 64
"""Product of the branches that the fallback prover may multiply out."""

MAX_FALLBACK_NODES: Final = 400
"""Subschemas in a pair that the fallback prover may look at."""


class Budget:
    """Counts the steps of one check."""

    def __init__(self, steps: float = MAX_STEPS) -> None:
        self._left = steps

    def spend(self, steps: float = 1) -> None:
        """Raises `CompatibilityLimit` when the check would cost too much."""
        if steps > self._left:
            raise CompatibilityLimit(
                "The two schemas are too entangled to be compared in bounded time. "
                "Use fewer alternatives (anyOf, oneOf, if) or smaller schemas."
            )
        self._left -= steps
