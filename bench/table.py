"""Rows of results, what they must and should reach, and their rendering as aligned Markdown."""

from dataclasses import asdict, dataclass, field

MISSED = "missed"


@dataclass(frozen=True)
class Target:
    """What a value must and should be.

    sense "at most" or "at least"; or "between", where must is a pair and there is no aim.
    """

    must: float | tuple
    aim: float | None = None
    sense: str = "at most"

    def verdict(self, value):
        """"aim" or "must", the strictest target that is met, or "missed"; nan meets none."""
        if self.sense == "between":
            return "must" if self.must[0] <= value <= self.must[1] else MISSED
        sign = 1 if self.sense == "at most" else -1
        for name in ("aim", "must"):
            bound = getattr(self, name)
            if bound is not None and sign * value <= sign * bound:
                return name
        return MISSED

    def shown(self, name):
        """The target as text, "" where there is none."""
        bound = getattr(self, name)
        if bound is None:
            return ""
        return f"{bound[0]:g} to {bound[1]:g}" if self.sense == "between" else f"{bound:g}"


@dataclass
class Row:
    """One case: seconds by contestant, other figures by name, and the value that is judged.

    A case with a target and without a value has missed it; its note says why.
    """

    case: str
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict, kw_only=True)
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
        times, figures = (_names(self.rows, kind) for kind in ("seconds", "figures"))
        heads = ["case", *(f"{name}, ms" for name in times), *figures]
        heads += ["result"] if any(row.value is not None or row.target for row in self.rows) else []
        heads += ["must", "aim", "met"] if any(row.target for row in self.rows) else []
        heads += ["note"] if any(row.note for row in self.rows) else []
        cells = [heads] + [_cells(row, times, figures, heads) for row in self.rows]
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

    def as_dict(self):
        """For JSON."""
        return asdict(self)


def _names(rows, kind):
    return list(dict.fromkeys(name for row in rows for name in getattr(row, kind)))


def _cells(row, times, figures, heads):
    cells = [row.case, *(three_digits(1e3 * row.seconds[name]) if name in row.seconds else "" for name in times)]
    cells += [three_digits(row.figures[name]) if name in row.figures else "" for name in figures]
    if "result" in heads:
        cells.append("" if row.value is None else f"{three_digits(row.value)} {row.unit}".strip())
    if "met" in heads:
        target = row.target
        cells += [target.shown("must"), target.shown("aim")] if target else ["", ""]
        cells.append("" if not target else MISSED if row.value is None else target.verdict(row.value))
    return cells + ([row.note] if "note" in heads else [])


def three_digits(value):
    """Three significant digits without an exponent, where that is readable."""
    if value != 0 and not 1e-2 <= abs(value) < 1e6:
        return f"{value:.2e}"
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{decimals}f}"
