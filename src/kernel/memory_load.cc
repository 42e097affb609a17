#include "kernel/memory_load.h"

#include <array>
#include <string>

#include "base/text.h"
#include "kernel/proc_text.h"

namespace obit {
namespace {

/// "12.34" as 1234. The kernel writes two digits behind the point (psi_show() of kernel/sched/psi.c).
std::optional<std::uint32_t> Hundredths(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos || text.size() != point + 3) return std::nullopt;
  const auto whole = ParseUnsigned(text.substr(0, point)), rest = ParseUnsigned(text.substr(point + 1));
  if (!whole || !rest || *whole > 100) return std::nullopt;
  return static_cast<std::uint32_t>(*whole * 100 + *rest);
}

/// The text of the word that begins with `key`.
std::string_view WordBehind(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return {};
  text = Trim(text.substr(at + key.size()));
  return text.substr(0, text.find_first_of(" \n"));
}

}  // namespace

std::optional<std::uint64_t> MeminfoBytes(std::string_view meminfo, std::string_view key) {
  const auto kib = ParseUnsigned(WordBehind(meminfo, key));
  return kib ? std::optional(*kib << 10) : std::nullopt;
}

MemoryLoad ParseMemoryLoad(std::string_view pressure, std::string_view meminfo) {
  MemoryLoad load{.total = MeminfoBytes(meminfo, "MemTotal:").value_or(0),
                  .available = MeminfoBytes(meminfo, "MemAvailable:").value_or(0)};
  if (load.available == 0) load.total = 0;
  if (pressure.starts_with("some ")) load.pressure = Hundredths(WordBehind(pressure, "avg10="));
  return load;
}

MemoryLoad ReadMemoryLoad(const Fd& proc) {
  std::array<char, 512> pressure;
  std::array<char, 8192> meminfo;
  return ParseMemoryLoad(ReadOnce(proc, "pressure/memory", pressure).value_or(std::string_view()),
                         ReadOnce(proc, "meminfo", meminfo).value_or(std::string_view()));
}

}  // namespace obit
