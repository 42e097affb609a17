#include "kernel/mappings.h"

#include <algorithm>
#include <array>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kLineMax = 64 * 1024;  // a path has at most 4096 bytes, four characters each if escaped

/// The text up to `separator`, which is taken from `line` too.
std::string_view TakeUntil(std::string_view& line, char separator) {
  const std::size_t end = std::min(line.find(separator), line.size());
  const std::string_view taken = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return taken;
}

/// "7f00-7f01 rw-p 00000000 08:01 1234      /path"
bool ParseHeader(std::string_view line, Mapping& mapping) {
  const auto begin = ParseUnsigned(TakeUntil(line, '-'), 16), end = ParseUnsigned(TakeUntil(line, ' '), 16);
  const std::string_view permissions = TakeUntil(line, ' ');
  const auto offset = ParseUnsigned(TakeUntil(line, ' '), 16);
  const auto major = ParseUnsigned(TakeUntil(line, ':'), 16), minor = ParseUnsigned(TakeUntil(line, ' '), 16);
  const auto inode = ParseUnsigned(TakeUntil(line, ' '));
  if (!begin || !end || *end <= *begin || permissions.size() != 4 || !offset || !major || !minor || !inode)
    return false;
  mapping.begin = *begin;
  mapping.end = *end;
  mapping.executable = permissions[2] == 'x';
  mapping.shared = permissions[3] == 's';
  mapping.device_major = static_cast<std::uint32_t>(*major);
  mapping.device_minor = static_cast<std::uint32_t>(*minor);
  mapping.inode = *inode;
  mapping.offset = *offset;
  mapping.name = line.substr(std::min(line.find_first_not_of(' '), line.size())).substr(0, kMappingNameMax);
  return true;
}

/// Takes the lines of maps or smaps one by one.
class MappingLines {
 public:
  Result<void> Add(std::string_view line) {
    // Every further line of an smaps entry is "Name:  value"; a name has no blank before its colon.
    const std::size_t colon = line.find(':'), blank = line.find(' ');
    if (colon < blank && !mappings_.empty()) {
      if (line.starts_with("VmFlags:"))
        for (const std::string_view flag : Split(line, ' '))
          mappings_.back().user_faults |= flag == "um" || flag == "ui";  // missing, minor (mm/userfaultfd.c)
      return {};
    }
    if (mappings_.size() == kMappingsMax) return Refuse(EFBIG, "more than {} mappings", kMappingsMax);
    Mapping mapping;
    if (!ParseHeader(line, mapping)) return Refuse(EBADMSG, "not a line of maps: {}", line);
    mappings_.push_back(std::move(mapping));
    return {};
  }
  std::vector<Mapping> Take() { return std::move(mappings_); }

 private:
  std::vector<Mapping> mappings_;
};

}  // namespace

Result<std::vector<Mapping>> ParseMappings(std::string_view text) {
  MappingLines lines;
  while (!text.empty()) OBIT_TRY(lines.Add(TakeUntil(text, '\n')));
  return lines.Take();
}

Result<std::vector<Mapping>> ReadMappings(const Fd& file) {
  MappingLines lines;
  std::string rest;
  std::array<char, 32 * 1024> buffer{};
  for (std::uint64_t at = 0;;) {
    const std::size_t n = OBIT_TRY(ReadFullAt(file, std::as_writable_bytes(std::span(buffer)), at));
    if (n == 0) break;
    at += n;
    rest.append(buffer.data(), n);
    std::string_view whole = rest;
    while (whole.find('\n') != std::string_view::npos) OBIT_TRY(lines.Add(TakeUntil(whole, '\n')));
    if (whole.size() > kLineMax) return Refuse(EBADMSG, "a line of maps without end");
    rest = std::string(whole);
  }
  if (!rest.empty()) return Refuse(EBADMSG, "maps ends within a line");
  return lines.Take();
}

const Mapping* FindMapping(const std::vector<Mapping>& mappings, std::uint64_t address) {
  const auto after = std::ranges::upper_bound(mappings, address, {}, &Mapping::begin);
  if (after == mappings.begin()) return nullptr;
  const Mapping& mapping = *std::prev(after);
  return address < mapping.end ? &mapping : nullptr;
}

}  // namespace obit
