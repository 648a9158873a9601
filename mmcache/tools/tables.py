"""Tables for a terminal of any width, in which no figure is ever cut.

A column of figures is as wide as its longest cell; columns of words are wrapped between words. Where even
that is too wide, every row becomes a few lines of its own: the first cell, and below it heading and value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2  # letters between two columns
INDENT = 2  # letters, of what stands below a row's first cell


@dataclass(frozen=True)
class Column:
    """A column of figures, or of words that may be wrapped.

    Attributes:
        heading: may be wrapped between words.
        words: its cells may be wrapped too; they are flush left.
        style: of its cells, in rich's words.
    """

    heading: str
    words: bool = False
    style: str = ""


class Row(NamedTuple):
    cells: tuple[Text, ...]
    style: str
    begins_section: bool


@dataclass
class FigureTable:
    """Columns and rows; printed by a rich console.

    Attributes:
        columns: from left to right.
        title: a line above; "" for none.
    """

    columns: Sequence[Column]
    title: str = ""
    rows: list[Row] = field(default_factory=list)
    _section: bool = False

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """Add a row; a cell may have several lines.

        Raises:
            ValueError: more or fewer cells than columns.
        """
        if len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells for {len(self.columns)} columns")
        made = tuple(cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        self.rows.append(Row(made, style, self._section and bool(self.rows)))
        self._section = False

    def add_section(self) -> None:
        """Leave a line before the next row."""
        self._section = True

    @property
    def least_width(self) -> int:
        """Letters that the table needs side by side."""
        return sum(least for least, _ in self._ranges()) + GAP * (len(self.columns) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="bold")
        if self.least_width <= options.max_width:
            yield self._side_by_side(options.max_width)
        else:
            yield from self._one_below_the_other(options.max_width)

    def _side_by_side(self, width: int) -> Table:
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
        widths = shared_out(self._ranges(), width - GAP * (len(self.columns) - 1))
        for column, letters in zip(self.columns, widths, strict=True):
            table.add_column(
                Text(column.heading),
                width=letters,
                justify="left" if column.words else "right",
                style=column.style,
                overflow="fold",
            )
        for row in self.rows:
            if row.begins_section:
                table.add_section()
            table.add_row(*row.cells, style=row.style)
        return table

    def _one_below_the_other(self, width: int) -> RenderResult:
        longest = longest_word([cell.plain for row in self.rows for cell in row.cells])
        indent = INDENT if longest + INDENT <= width else 0  # a name is rather whole than indented
        for row in self.rows:
            if row.begins_section:
                yield Text("")
            first, *others = row.cells
            heading = self.columns[0].heading
            yield Text(f"{heading}: {first.plain}" if heading else first.plain, style="bold", overflow="fold")
            for column, cell in zip(self.columns[1:], others, strict=True):
                if cell.plain.strip():
                    words = Text.assemble((f"{column.heading}: ", "dim") if column.heading else "", cell)
                    words.overflow = "fold"
                    yield Padding(words, (0, 0, 0, indent))

    def _ranges(self) -> list[tuple[int, int]]:
        """For each column, the fewest letters that cut nothing, and those that wrap nothing."""
        found = []
        for index, column in enumerate(self.columns):
            cells = [row.cells[index].plain for row in self.rows]
            lines = [line for cell in cells for line in cell.splitlines()] or [""]
            whole = max(map(width_of, lines))
            least = longest_word(lines) if column.words else whole
            heading = longest_word([column.heading])
            found.append((max(least, heading), max(whole, width_of(column.heading))))
        return found


@dataclass(frozen=True)
class FirstThatFits:
    """Of several tables, the most detailed first, the first that fits side by side, or else the last."""

    tables: Sequence[FigureTable]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield next(
            (table for table in self.tables if table.least_width <= options.max_width), self.tables[-1]
        )


def words_table(*headings: str) -> FigureTable:
    """A table whose columns are all words."""
    return FigureTable([Column(heading, words=True) for heading in headings])


def shared_out(ranges: Sequence[tuple[int, int]], width: int) -> list[int]:
    """Widths between the bounds of each column: letter by letter to the one with the most lines."""
    widths = [least for least, _ in ranges]
    for _ in range(min(width, sum(most for _, most in ranges)) - sum(widths)):
        lines = [most / max(1, given) for (_, most), given in zip(ranges, widths, strict=True)]
        widths[lines.index(max(lines))] += 1
    return widths


def longest_word(texts: Sequence[str]) -> int:
    return max((width_of(word) for text in texts for word in text.split()), default=0)


def width_of(text: str) -> int:
    """Cells of a terminal: some letters take two."""
    return Text(text).cell_len
