#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "render/terminal.h"

namespace obit {

/// Rows in aligned columns, two spaces between them.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
    /// Where the line is too long, this column may be cut down to so many cells; 0: it keeps its width.
    std::size_t shrinks_to = 0;
    /// Left out where there is still no room, the last such column first, or when all its cells are empty.
    bool optional = false;
  };
  /// `text` is fit for a terminal: escaped, without newlines.
  struct Cell {
    std::string text;
    Tone tone = Tone::kPlain;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell a column.
  void Add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  /// The titles (unless all are empty) and all rows as lines of at most `terminal.width` cells, as far as the
  /// columns allow that.
  [[nodiscard]] std::string Render(const Terminal& terminal) const;

 private:
  [[nodiscard]] std::vector<std::size_t> Widths(std::size_t line) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace obit
