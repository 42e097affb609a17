#include "render/source_lines.h"

#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

#include "base/file_time.h"
#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kFileMax = 4 << 20;  // bytes
constexpr std::size_t kLineMax = 4096;     // bytes of one line that are kept
constexpr std::uint32_t kBefore = 3, kAfter = 2;
constexpr std::size_t kTab = 8;

/// Opens a regular file. Opening anything else could act: rewind a tape, start a watchdog, wait for a writer.
/// So the first descriptor only names it.
Result<Fd> OpenRegular(const std::string& path, struct stat& status) {
  const Fd name = OBIT_TRY(Open(path, O_PATH));
  if (::fstat(name.get(), &status) < 0) return Fail(errno, "look at {}", path);
  // The files of /proc are regular, have no size, and some of them act as well.
  if (!S_ISREG(status.st_mode) || status.st_size == 0) return Fail(EINVAL, "{} is no file with text", path);
  // A report names it, and whoever wrote that may not read what root may.
  if (::geteuid() == 0 && (status.st_mode & S_IROTH) == 0)
    return Fail(EACCES, "{} is not for everybody", path);
  return Open(fmt::format("/proc/self/fd/{}", name.get()), O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

std::string WithoutTabs(std::string_view line) {
  std::string out;
  for (const char c : line) {
    if (c == '\t')
      out.append(kTab - out.size() % kTab, ' ');
    else
      out += c;
  }
  return out;
}

}  // namespace

Result<SourceLines> ReadSourceLines(const std::string& path, std::uint32_t line, std::int64_t crash_time) {
  if (!path.starts_with('/') || line == 0) return Fail(EINVAL, "source {}", path);
  struct stat status{};
  const Fd file = OBIT_TRY_IN(OpenRegular(path, status), "source");
  std::string text(std::min<std::size_t>(static_cast<std::size_t>(status.st_size), kFileMax), '\0');
  text.resize(OBIT_TRY_IN(ReadFull(file, std::as_writable_bytes(std::span(text))), "source {}", path));

  SourceLines source;
  source.marked = line;
  source.first = line > kBefore ? line - kBefore : 1;
  source.newer = NanosecondsOf(status.st_mtim) > crash_time;
  std::uint32_t number = 1;
  for (std::string_view rest = text; !rest.empty() && number <= std::uint64_t{line} + kAfter; ++number) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (number >= source.first) source.lines.emplace_back(rest.substr(0, std::min(end, kLineMax)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (source.first + source.lines.size() <= line) return Fail(ENOENT, "line {} of {}", line, path);
  return source;
}

std::string RenderSourceLines(const SourceLines& source, const Terminal& terminal) {
  const std::size_t digits = std::to_string(source.first + source.lines.size()).size();
  std::string out;
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    const std::size_t number = source.first + i;
    const bool marked = number == source.marked;
    std::string head = fmt::format("  {}  {:>{}}", marked ? ">" : " ", number, digits);
    const std::string text =
        EscapeControls(WithoutTabs(Trim(source.lines[i]).empty() ? "" : source.lines[i]));
    const std::size_t room =
        terminal.width == 0 ? 0 : std::max<std::size_t>(terminal.width, head.size() + 12) - head.size() - 2;
    const std::string shown = text.empty() ? "" : "  " + Shorten(text, room);
    out += marked ? Paint(head + shown, Tone::kStrong, terminal.colour)
                  : Paint(head, Tone::kDim, terminal.colour) + shown;
    out += "\n";
  }
  return out;
}

}  // namespace obit
