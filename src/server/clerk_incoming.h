#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "crash/record.h"
#include "server/messages.h"
#include "store/store.h"

namespace obit {

// Crashes that are not committed yet, in incoming/, as the clerk finds them. Workers wrote what is there, and
// they read cores: of it only that is believed which nobody gains by.

/// Where the crash `id` was committed. `time` is when it came, ns since 1970; 0: not known, and all days are
/// looked at. Fails where this process lacks what it takes to look into a day (IsShortage). A day that cannot
/// be looked into for another reason has none, and so has a store whose days cannot be listed.
[[nodiscard]] Result<std::optional<CrashLocation>> FindCommitted(const Store& store, const std::string& id,
                                                                 std::int64_t time);

/// What somebody left in a folder of incoming/.
struct LeftCrash {
  enum class State {
    kNothing,   ///< a worker's next folder: no crash came, or nothing was stored of it
    kBegun,     ///< a worker has to complete it
    kComplete,  ///< crash.json is written, and all that it speaks of is there
  };
  State state = State::kNothing;
  std::string id;            ///< of the crash; empty: it cannot be told
  std::uint64_t number = 0;  ///< as its record says
};
/// Fails where that cannot be told, for a shortage or a fault of the disk: nothing may be removed then.
[[nodiscard]] Result<LeftCrash> LookAtLeft(const Fd& dir);

/// incoming/ID. A folder that a worker had prepared under another name for the crash `id` gets its name
/// first. ENOENT: there is nothing of it.
[[nodiscard]] Result<Fd> OpenIncoming(const Store& store, const std::string& id);
/// Gives the folder `name` in incoming/ the name `id`. EEXIST: that is taken.
[[nodiscard]] Result<void> RenameIncoming(const Store& store, const std::string& name, const std::string& id);

/// Puts into the record what the manager knows better: identity, pid, signal, number and time. Without a
/// number of its own it keeps that of the record, if `was_given` says so. True: it was another.
[[nodiscard]] bool ApplyHead(const RecordHead& head, CrashRecord& record,
                             const std::function<bool(std::uint64_t)>& was_given);

/// Writes the record of a crash whose core nobody completed: that of begun.json if it is there, else
/// `record`, whose outcome and reason count either way. What is there of a core is kept as it is, or, of one
/// that is not whole, the minimal one beside it (TakeStoredMinimal). The record says so: `truncated`,
/// whatever it has. What fails can be tried again.
[[nodiscard]] Result<void> WriteWithoutCore(const Fd& dir, const CrashRecord& record);

/// The same where crash.json is there, but says nothing that can be read.
[[nodiscard]] Result<void> ReplaceRecord(const Fd& dir, CrashRecord record, const std::string& reason);

}  // namespace obit
