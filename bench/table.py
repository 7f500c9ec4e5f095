"""Rows of results, what they must and should reach, and their rendering as aligned Markdown."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Target:
    """What a value must and should be.

    sense "at most" or "at least"; or "between", where must is a pair and there is no aim.
    """

    must: float | tuple
    aim: float | None = None
    sense: str = "at most"

    def verdict(self, value):
        """"aim", "must" or "no": the strictest target that is met."""
        if self.sense == "between":
            return "must" if self.must[0] <= value <= self.must[1] else "no"
        sign = 1 if self.sense == "at most" else -1
        for name in ("aim", "must"):
            bound = getattr(self, name)
            if bound is not None and sign * value <= sign * bound:
                return name
        return "no"

    def shown(self, name):
        """The target as text, "" where there is none."""
        bound = getattr(self, name)
        if bound is None:
            return ""
        return f"{bound[0]:g} to {bound[1]:g}" if self.sense == "between" else f"{bound:g}"


@dataclass
class Row:
    """One case: seconds by contestant, and the value that is judged (or a note why there is none)."""

    case: str
    seconds: dict[str, float] = field(default_factory=dict)
    value: float | None = None
    unit: str = ""
    target: Target | None = None
    note: str = ""


@dataclass
class Table:
    """Rows under one heading; `about` says what was measured."""

    title: str
    about: str
    rows: list[Row]

    def render(self):
        """Markdown, aligned."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.seconds))
        has_targets = any(row.target for row in self.rows)
        heads = ["case", *(f"{name}, ms" for name in names), "result"]
        heads += ["must", "aim", "met"] if has_targets else []
        heads += ["note"] if any(row.note for row in self.rows) else []
        cells = [heads] + [self._cells(row, names, heads) for row in self.rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(heads))]
        left = [head in ("case", "note") for head in heads]
        columns = list(zip(widths, left, strict=True))
        rule = ["-" * width if to_left else "-" * (width - 1) + ":" for width, to_left in columns]
        lines = []
        for line in (heads, rule, *cells[1:]):
            padded = (
                cell.ljust(width) if to_left else cell.rjust(width)
                for cell, (width, to_left) in zip(line, columns, strict=True)
            )
            lines.append(f"| {' | '.join(padded)} |")
        return "\n".join([f"### {self.title}", "", self.about, "", *lines])

    @staticmethod
    def _cells(row, names, heads):
        cells = [row.case, *(three_digits(1e3 * row.seconds[name]) if name in row.seconds else "" for name in names)]
        cells.append("" if row.value is None else f"{three_digits(row.value)} {row.unit}".strip())
        if "met" in heads:
            judged = row.target is not None and row.value is not None
            cells += [row.target.shown("must"), row.target.shown("aim")] if row.target else ["", ""]
            cells.append(row.target.verdict(row.value) if judged else "")
        return cells + ([row.note] if "note" in heads else [])

    def as_dict(self):
        """For JSON."""
        return asdict(self)


def three_digits(value):
    """Three significant digits without an exponent, where that is readable."""
    if value != 0 and not 1e-2 <= abs(value) < 1e6:
        return f"{value:.2e}"
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{decimals}f}"
