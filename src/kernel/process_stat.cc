#include "kernel/process_stat.h"

#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr std::size_t kStatMax = 16 * 1024;  // bytes: 52 numbers and a comm

}  // namespace

Result<ProcessStat> ParseProcessStat(std::string_view line) {
  const std::size_t open = line.find('('), close = line.rfind(')');  // comm may hold both, and spaces
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return Refuse(EBADMSG, "not a /proc stat line");
  const auto fields = Split(Trim(line.substr(close + 1)), ' ');  // the first is field 3, "state"
  const auto number = [&](std::size_t field) -> std::optional<std::uint64_t> {
    return field - 3 < fields.size() ? ParseUnsigned(fields[field - 3]) : std::nullopt;
  };
  const auto id = ParseUnsigned(Trim(line.substr(0, open)));
  const auto parent = number(4), flags = number(9), user = number(14), system = number(15),
             start = number(22), resident = number(24), code_begin = number(26), code_end = number(27),
             sp = number(29), pc = number(30);
  const auto exit_code = number(52);  // the last one, since Linux 3.5: without it the line is cut
  if (!id || !parent || !flags || !user || !system || !start || !resident || !code_begin || !code_end ||
      !sp || !pc || !exit_code)
    return Refuse(EBADMSG, "not a /proc stat line");
  ProcessStat stat;
  stat.id = static_cast<pid_t>(*id);
  stat.comm = line.substr(open + 1, close - open - 1);
  stat.state = fields.front().empty() ? '\0' : fields.front().front();
  stat.parent = static_cast<pid_t>(*parent);
  stat.flags = *flags;
  stat.cpu_ticks = *user + *system;
  stat.start_ticks = *start;
  stat.resident = *resident;
  stat.code_begin = *code_begin;
  stat.code_end = *code_end;
  stat.sp = *sp;
  stat.pc = *pc;
  stat.exit_code = static_cast<int>(*exit_code);
  return stat;
}

Result<ProcessStat> ReadProcessStat(const Fd& dir, const std::string& name) {
  const FileText file = OBIT_TRY(ReadFileAt(dir, name, kStatMax));
  if (file.truncated) return Refuse(EBADMSG, "not a /proc stat line");  // its last number may be cut
  return ParseProcessStat(file.text);
}

std::int64_t SinceBoot(std::uint64_t start_ticks) {
  static const std::int64_t per_tick = 1'000'000'000LL / ::sysconf(_SC_CLK_TCK);
  return static_cast<std::int64_t>(start_ticks) * per_tick;
}

}  // namespace obit
