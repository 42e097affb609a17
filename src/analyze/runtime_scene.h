#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/call_arguments.h"
#include "analyze/cause.h"

namespace obit {

/// A crash as those who look for a runtime's last words see it (runtime_words.h): the frames up to where a
/// signal came, and bounded searches of the memory that belongs to them. All of it is hostile. Frames are
/// counted as in Stack::frames, innermost first; those of a folded recursion, and what is behind it, are left
/// out.
class RuntimeScene {
 public:
  explicit RuntimeScene(CrashScene& scene);

  static constexpr std::size_t kTextMax = 4096;        ///< of a message
  static constexpr std::uint64_t kStackMax = 1 << 18;  ///< bytes of stack that one search looks at
  /// Bytes that all of them read: once there are no more, nothing is found any more.
  static constexpr std::uint64_t kReadMax = 256 << 20;
  struct Range {
    std::uint64_t begin = 0, end = 0;
  };

  [[nodiscard]] CrashScene& crash() { return scene_; }
  [[nodiscard]] CoreImage& image() { return scene_.image; }
  /// PlainName() of each frame.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  /// The first frame from `from` on whose name is one of these, or begins with one that ends in '*'.
  [[nodiscard]] std::optional<std::size_t> Find(std::initializer_list<std::string_view> names,
                                                std::size_t from = 0) const;
  [[nodiscard]] static bool IsOneOf(std::string_view name, std::span<const std::string_view> names);
  [[nodiscard]] static bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
    return IsOneOf(name, std::span(names.begin(), names.size()));
  }
  [[nodiscard]] std::string_view ModuleName(std::size_t frame) const;  ///< file name; may be empty

  /// The function that called `frame` (inlined ones are part of it), as an index of the machine's own frames.
  [[nodiscard]] std::optional<std::size_t> RawCaller(std::size_t frame) const;
  /// What the function of `frame` was called with.
  [[nodiscard]] CallArguments Arguments(std::size_t frame);
  [[nodiscard]] std::string ArgumentText(std::size_t frame, std::size_t number);

  /// The stack that belongs to the frames from the innermost to `frame`, that one included.
  [[nodiscard]] Range StackTo(std::size_t frame) const;
  /// That of `frame` alone.
  [[nodiscard]] Range StackOf(std::size_t frame) const;
  /// Below the stack pointer: what functions left that have returned.
  [[nodiscard]] Range StackLeft(std::uint64_t bytes) const;
  [[nodiscard]] std::vector<std::uint64_t> Words(Range range);
  [[nodiscard]] std::string Bytes(Range range);
  /// The registers that were saved for `frame`, and the words of its stack.
  [[nodiscard]] std::vector<std::uint64_t> WordsOf(std::size_t frame);
  /// The same of all frames up to `frame`; innermost first.
  [[nodiscard]] std::vector<std::uint64_t> WordsTo(std::size_t frame);

  /// The whole text at an address: printable UTF-8 up to a NUL, not empty; else empty.
  [[nodiscard]] std::string Text(std::uint64_t address, std::size_t max = kTextMax);
  /// The text that a function made of a printf(3) format: `format` itself if nothing is in it to replace,
  /// else a text that fits it and lies in `range` of the stack, or to which a word of `words` points. Empty
  /// if there is none.
  [[nodiscard]] std::string Formatted(const std::string& format, Range range,
                                      const std::vector<std::uint64_t>& words);
  /// The same by the arguments of `frame`, a function whose `named` parameters end with the format. Empty if
  /// one of them is not known, or is no text or whole number.
  [[nodiscard]] std::string FormattedByArguments(const std::string& format, std::size_t frame,
                                                 std::size_t named);
  [[nodiscard]] bool IsWritable(std::uint64_t address);
  [[nodiscard]] std::optional<std::uint64_t> Symbol(std::string_view module_prefix, std::string_view symbol);
  /// The same in the program itself, or what else its lowest module is.
  [[nodiscard]] std::optional<std::uint64_t> ProgramSymbol(std::string_view symbol);

  /// A cause of the kind, with the function of the program's own.
  [[nodiscard]] Cause Make(CauseKind kind, std::string_view runtime, std::string_view message = "");

 private:
  /// Who called the function of `frame`, by a return address behind a direct call of just that function:
  /// where a stack is unwound by guesses only.
  [[nodiscard]] std::optional<Registers> DirectCaller(std::size_t frame);
  /// False: so many bytes are not to be read.
  [[nodiscard]] bool Spend(std::uint64_t bytes);

  CrashScene& scene_;
  std::vector<std::string> names_;
  std::vector<std::size_t> raw_;  ///< of each frame
  std::uint64_t left_ = kReadMax;
};

/// Text that a person can read: UTF-8, no control characters but white space.
[[nodiscard]] bool IsReadable(std::string_view text);
[[nodiscard]] std::string FirstLineOf(std::string_view text);
/// `text` is what a format of printf(3) gives: its literal parts, in their order, from the first to the last.
[[nodiscard]] bool FitsFormat(std::string_view format, std::string_view text);
/// What stands between `before` and `after`; empty if these do not follow each other.
[[nodiscard]] std::string Between(std::string_view text, std::string_view before, std::string_view after);
/// The first line of `bytes`, as it may lie in the middle of other memory, in which `mark` stands: from
/// behind the last byte that is no text to the next one. Empty if there is none.
[[nodiscard]] std::string LineWith(std::string_view bytes, std::string_view mark);

}  // namespace obit
