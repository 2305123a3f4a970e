"""What a vector file came to."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Result:
    """How many cases of one file behaved as the file says, and which did not."""

    passed: int = 0
    total: int = 0
    failures: list[str] = field(default_factory=list)

    def record(self, case: str, ok: bool, why: str = "") -> None:
        """Count one case; keep its name and the reason if it fell short."""
        self.total += 1
        if ok:
            self.passed += 1
        else:
            self.failures.append(f"{case}: {why}" if why else case)

    @property
    def complete(self) -> bool:
        return self.passed == self.total and self.total > 0
