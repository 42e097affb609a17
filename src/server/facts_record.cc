#include "server/facts_record.h"

#include <optional>
#include <vector>

#include "base/io.h"
#include "base/text.h"
#include "capture/facts.h"
#include "crash/record_json.h"
#include "kernel/core_pattern.h"
#include "kernel/version.h"
#include "policy/lowered.h"

namespace obit {
namespace {

/// Facts have no id yet, and a record needs one.
constexpr std::string_view kNoId = "0000000000000000";

std::size_t BytesOf(const std::vector<std::string>& cmdline) {
  std::size_t bytes = 0;
  for (const std::string& argument : cmdline) bytes += argument.size() + 1;
  return bytes;
}

/// What the first `bytes` of it, each argument ended by a NUL, are.
std::vector<std::string> Cut(const std::vector<std::string>& cmdline, std::size_t bytes) {
  std::vector<std::string> cut;
  for (const std::string& argument : cmdline) {
    if (bytes == 0) break;
    cut.push_back(argument.substr(0, bytes));
    bytes -= std::min(bytes, argument.size() + 1);
  }
  return cut;
}

/// As much of the command line as there is room for, less a KiB at most: each look is a text as long as
/// kFactsMax, or longer, for escaped, its bytes can become ten times as many.
std::string TextWithCutCmdline(CrashRecord record) {
  const std::vector<std::string> whole = std::move(record.process.cmdline);
  record.process.cmdline.clear();
  record.process.cmdline_truncated = true;
  std::string text = RecordToJson(record);
  std::size_t fits = 0, too_many = BytesOf(whole);
  while (too_many - fits > 1024) {
    const std::size_t bytes = fits + (too_many - fits) / 2;
    record.process.cmdline = Cut(whole, bytes);
    if (std::string longer = RecordToJson(record); longer.size() <= kFactsMax) {
      text = std::move(longer);
      fits = bytes;
    } else {
      too_many = bytes;
    }
  }
  return text;
}

/// Paths that leave no room, although nothing else is there, are not known.
void LeaveOutPaths(CrashRecord& record) {
  CrashRecord::Process& process = record.process;
  const std::pair<const char*, std::string*> paths[] = {
      {"root", &process.root}, {"cwd", &process.cwd}, {"cgroup", &process.cgroup}, {"exe", &process.exe}};
  CrashRecord bare = record;
  bare.process.cmdline.clear();
  for (const auto& [name, path] : paths) {
    if (RecordToJson(bare).size() <= kFactsMax) return;
    if (path->empty()) continue;
    path->clear();
    process.too_long.emplace_back(name);
    bare.process = process;
    bare.process.cmdline.clear();
  }
}

/// The enumerator of a message, unless it is none.
template <class E>
E Checked(std::uint32_t number, E otherwise) {
  const E value{static_cast<std::underlying_type_t<E>>(number)};
  return NameOf(value) == "unknown" ? otherwise : value;
}

template <class E>
std::uint8_t FromOne(const std::optional<E>& value) {
  return value ? static_cast<std::uint8_t>(static_cast<std::uint8_t>(*value) + 1) : 0;
}
/// Nothing also of what is no enumerator.
template <class E>
std::optional<E> NamedFromOne(std::uint8_t number, E last) {
  if (number == 0 || number > static_cast<std::uint8_t>(last) + 1) return std::nullopt;
  return static_cast<E>(number - 1);
}

}  // namespace

void SetHandling(const CrashHandling& handling, RecordHead& head) {
  head.environment = FromOne(handling.environment);
  head.analyze = FromOne(handling.analyze);
  head.hooks = FromOne(handling.hooks);
  head.retention = FromOne(std::optional(handling.retention));
}

CrashHandling HandlingIn(const RecordHead& head) {
  return {.environment = NamedFromOne(head.environment, EnvironmentKept::kAll),
          .analyze = NamedFromOne(head.analyze, true),
          .hooks = NamedFromOne(head.hooks, true),
          .retention = NamedFromOne(head.retention, RetentionClass::kKeep).value_or(RetentionClass::kNormal)};
}

void SetMemory(const MemoryLoad& load, Findings& findings) {
  findings.has_memory = 1;
  findings.has_pressure = load.pressure ? 1 : 0;
  findings.memory_pressure = load.pressure.value_or(0);
  findings.memory_total = load.total;
  findings.memory_available = load.available;
}

std::optional<MemoryLoad> MemoryIn(const Findings& findings) {
  if (findings.has_memory == 0) return std::nullopt;
  MemoryLoad load{.total = findings.memory_total, .available = findings.memory_available};
  if (findings.has_pressure != 0) load.pressure = findings.memory_pressure;
  return load;
}

std::string FactsText(const ProcessFacts& facts, bool privileged) {
  CrashRecord record;
  record.id = kNoId;
  ApplyProcessFacts(facts, record);
  record.process.privileged = privileged;
  std::string text = RecordToJson(record);
  if (text.size() <= kFactsMax) return text;
  LeaveOutPaths(record);
  text = RecordToJson(record);
  if (text.size() <= kFactsMax) return text;
  return TextWithCutCmdline(std::move(record));
}

CrashRecord MakeRecord(const RecordHead& head, std::string_view facts) {
  CrashRecord record;
  record.process.privileged = true;
  if (auto told = RecordFromJson(facts)) {
    record.process = std::move(told->process);
    record.thread = std::move(told->thread);
    record.signal = told->signal;
  }
  record.id = TextIn(head.id);
  record.number = head.number;
  record.time = head.time;
  CrashRecord::Process& process = record.process;
  process.pid = head.pid;
  process.privileged = head.privileged != 0 || process.privileged.value_or(true);
  if (head.has_uid != 0) process.uid = head.uid;
  if (head.has_core_limit != 0) process.core_limit = head.core_limit;
  if (record.thread.tid == 0) record.thread.tid = head.tid;
  if (head.signal != 0) record.signal.number = head.signal;
  if (head.has_code != 0) record.signal.code = head.code;
  CrashRecord::Capture& capture = record.capture;
  capture.transport = NameOf(Checked(head.transport, Transport::kFile));
  capture.rule = TextIn(head.rule);
  capture.root_only = head.root_only != 0;
  capture.handling = HandlingIn(head);
  capture.detail = Checked(head.detail, capture.detail);
  capture.outcome = Checked(head.outcome, capture.outcome);
  const Lowered lowered{Checked(std::uint32_t{head.lowered}, Shortage::kNone), head.lowered_has,
                        head.lowered_needs};
  capture.lowered = lowered.what;
  capture.lowered_reason = Describe(lowered, capture.detail);
  capture.held_seconds = static_cast<double>(std::max<std::int64_t>(head.held, 0)) / 1e9;
  return record;
}

CrashRecord::Host ThisHost() {
  CrashRecord::Host host;
  host.kernel = KernelRelease();
  if (const auto name = ReadFile("/proc/sys/kernel/hostname", 256)) host.name = Trim(name->text);
  if (const auto boot = ReadFile("/proc/sys/kernel/random/boot_id", 64)) host.boot_id = Trim(boot->text);
  return host;
}

}  // namespace obit
