#include "crash/record.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/random.h>

#include "base/enum_names.h"
#include "base/text.h"

namespace obit {
namespace {

constexpr EnumNames<Detail, 4> kDetails{{{Detail::kFull, "full"},
                                         {Detail::kMinimal, "minimal"},
                                         {Detail::kEvent, "event"},
                                         {Detail::kReject, "reject"}}};
constexpr EnumNames<CaptureMethod, 4> kMethods{{{CaptureMethod::kNone, "none"},
                                                {CaptureMethod::kStream, "stream"},
                                                {CaptureMethod::kDirect, "direct"},
                                                {CaptureMethod::kImport, "import"}}};
constexpr EnumNames<CrashOutcome, 5> kOutcomes{{{CrashOutcome::kFull, "full"},
                                                {CrashOutcome::kMinimal, "minimal"},
                                                {CrashOutcome::kEvent, "event"},
                                                {CrashOutcome::kTruncated, "truncated"},
                                                {CrashOutcome::kFailed, "failed"}}};
constexpr EnumNames<Shortage, kShortages> kShortageNames{{{Shortage::kNone, "none"},
                                                          {Shortage::kDisk, "disk"},
                                                          {Shortage::kQueue, "queue"},
                                                          {Shortage::kMemory, "memory"}}};

}  // namespace

std::string_view NameOf(Detail detail) { return NameIn(kDetails, detail); }
std::string_view NameOf(CaptureMethod method) { return NameIn(kMethods, method); }
std::string_view NameOf(CrashOutcome outcome) { return NameIn(kOutcomes, outcome); }
std::string_view NameOf(Shortage shortage) { return NameIn(kShortageNames, shortage); }
std::optional<Shortage> ShortageNamed(std::string_view name) { return ValueIn(kShortageNames, name); }
std::optional<CrashOutcome> OutcomeNamed(std::string_view name) { return ValueIn(kOutcomes, name); }
std::optional<Detail> DetailNamed(std::string_view name) { return ValueIn(kDetails, name); }
std::optional<CaptureMethod> MethodNamed(std::string_view name) { return ValueIn(kMethods, name); }

bool IsSentByItself(const CrashRecord& record) {
  const auto& sender = record.signal.sender_pid;
  return sender && (sender == record.process.pid || sender == record.process.own_pid);
}

std::string ProgramName(std::string_view comm, std::string_view exe) {
  constexpr std::size_t kCommMax = 15;  // TASK_COMM_LEN without its NUL
  const std::string_view file = FileNameOf(exe);
  const bool cut = comm.size() == kCommMax && file.starts_with(comm);
  return std::string(comm.empty() || cut ? file : comm);
}

std::string NewCrashId() { return CrashIds().Next(); }

std::string CrashIds::Next() {
  if (left_ == 0) {
    // Up to 256 bytes come whole; before the first ones a signal may make it fail (getrandom(2)).
    static_assert(sizeof random_ <= 256);
    while (::getrandom(random_.data(), sizeof random_, 0) != static_cast<ssize_t>(sizeof random_)) {
    }
    left_ = random_.size();
  }
  return fmt::format("{:016x}", random_[--left_]);
}

bool IsCrashId(std::string_view text) {
  return text.size() == 16 &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace obit
