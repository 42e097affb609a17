#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace obit {

/// For a core that ends early; only in incoming/. Empty, or not there: there is none.
inline constexpr const char* kMinimalFile = "minimal.zst";

/// A crash folder that was made before its crash came: incoming/NAME, locked (flock) by whoever holds `dir`
/// open. Its first files are open, so that a capture has nothing to open while a process waits. What is in
/// begun.json tells which crash it became, whatever the folder is called by then.
struct PreparedCrash {
  std::string name;  ///< 16 random hex digits
  Fd dir;
  Fd core;     ///< core.zst: empty, for reading and writing
  Fd minimal;  ///< minimal.zst: as core.zst
  Fd begun;    ///< begun.json: empty, for writing
};

/// Makes one. `incoming` is the folder of a store.
[[nodiscard]] Result<PreparedCrash> PrepareCrash(const Fd& incoming);

/// Gives it the name of its crash. EEXIST: there is one of that name.
[[nodiscard]] Result<void> NamePrepared(const Fd& incoming, const PreparedCrash& prepared,
                                        const std::string& id);

/// Removes one that was not used. What cannot be removed is left to Store::ForEachAbandoned.
void DropPrepared(const Fd& incoming, const PreparedCrash& prepared);

/// incoming/ID, which may still have the name that it was prepared with. ENOENT: there is none.
struct FoundIncoming {
  std::string name;
  Fd dir;
};
[[nodiscard]] Result<FoundIncoming> FindIncoming(const Fd& incoming, const std::string& id);

/// Opens and locks incoming/ID, which somebody left; under the name that it was prepared with it gets its
/// own first. ENOENT: there is none. EBUSY: its writer lives, and is not
/// one that was killed (`owner_killed`) and only waits for a system call to end.
[[nodiscard]] Result<Fd> TakeIncoming(const Fd& incoming, const std::string& id, bool owner_killed = false);

}  // namespace obit
