#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/memory_load.h"
#include "crash/record.h"
#include "kernel/process.h"
#include "server/messages.h"

namespace obit {

/// Bytes of a message without a NUL that ends them: what does not fit is cut.
template <std::size_t N>
void SetText(char (&to)[N], std::string_view text) {
  std::ranges::fill(to, '\0');
  std::ranges::copy(text.substr(0, N), to);
}
template <std::size_t N>
[[nodiscard]] std::string TextIn(const char (&from)[N]) {
  return {from, std::ranges::find(from, '\0')};
}

/// Facts as an inspector tells them, at most kFactsMax bytes: a record of which only process, thread and
/// signal are set. What is too long loses its end: the command line first, and says so.
[[nodiscard]] std::string FactsText(const ProcessFacts& facts, bool privileged);

/// The record of a crash before anything came of it. `facts` is FactsText, or empty; it comes from a process
/// that sees hostile things: if it is no record, nothing of it is taken. What the manager knows goes before
/// it. Without facts a crash is privileged, for nothing tells whose it was. The caller sets `host`.
[[nodiscard]] CrashRecord MakeRecord(const RecordHead& head, std::string_view facts);

/// What a rule says of the crash, for MakeRecord; and back.
void SetHandling(const CrashHandling& handling, RecordHead& head);
[[nodiscard]] CrashHandling HandlingIn(const RecordHead& head);

/// How short memory of the host was when an inspector looked; and back, nothing: he did not say.
void SetMemory(const MemoryLoad& load, Findings& findings);
[[nodiscard]] std::optional<MemoryLoad> MemoryIn(const Findings& findings);

/// Reads files of /proc.
[[nodiscard]] CrashRecord::Host ThisHost();

}  // namespace obit
