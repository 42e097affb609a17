#pragma once

#include <expected>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/selector.h"
#include "catalog/summary.h"
#include "crash/record.h"
#include "exit_code.h"
#include "store/store.h"

namespace obit {

/// Tells an error; how obit then ends.
[[nodiscard]] ExitCode Failed(const Error& error);
/// The same for what SelectCrash fails with.
[[nodiscard]] ExitCode NotSelected(const Error& error);

/// Opens a store, or tells why that does not work.
[[nodiscard]] std::expected<Store, ExitCode> OpenStore(const std::string& path);
/// All its crashes, or tells why there is no list.
[[nodiscard]] std::expected<CrashList, ExitCode> ListStore(const Store& store);

/// The time, ns since 1970, or tells that it is none.
[[nodiscard]] std::expected<std::int64_t, ExitCode> SinceOf(const std::string& since);
/// Keeps the crashes from `since` on, as ParseSince reads it (empty: all), or tells that it is no time.
[[nodiscard]] ExitCode KeepSince(std::vector<CrashSummary>& crashes, const std::string& since);

/// Finds a crash in a list, or tells why not. Says so if it took the newest of several. `doing` is what the
/// caller is about to do, for that message: "opening"; `verb` its name.
[[nodiscard]] std::expected<CrashLocation, ExitCode> ChooseFrom(const CrashList& list,
                                                                const std::string& store,
                                                                const std::string& selector,
                                                                std::string_view doing,
                                                                std::string_view verb);

/// The crashes that selectors name, each exactly one: for what is done to several at once, where "the newest"
/// is not clear enough. Or tells which names none or several.
[[nodiscard]] std::expected<std::map<CrashLocation, const CrashSummary*>, ExitCode> ChooseEach(
    std::span<const CrashSummary> crashes, const std::vector<std::string>& selectors,
    Prefer prefer = Prefer::kId);

/// One crash of a store, with its record.
struct ChosenCrash {
  Store store;
  CrashLocation location;
  CrashRecord record;
};
/// Opens the store and chooses a crash of it.
[[nodiscard]] std::expected<ChosenCrash, ExitCode> ChooseCrash(const std::string& store,
                                                               const std::string& selector,
                                                               std::string_view doing, std::string_view verb);

/// The store of the system: what its configuration says, read once. If that cannot be read, it says so and
/// takes the default.
[[nodiscard]] const std::string& DefaultStore();

/// How to call obit on this store: "obit", "obit --store /srv/obit".
[[nodiscard]] std::string CommandFor(const std::string& store);

/// Prints to standard output; whether it arrived is looked at when obit ends.
void Print(std::string_view text);
/// The same of JSON. What is in it came from crashed processes: DEL, C1 controls and the characters that
/// reorder a line become \uNNNN, which is the same JSON.
void PrintJson(std::string_view json);
/// Writes out what was printed. Fails with the error of any write since the beginning.
[[nodiscard]] Result<void> FlushOutput();

}  // namespace obit
