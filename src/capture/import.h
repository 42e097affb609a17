#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "crash/record.h"
#include "store/commit.h"
#include "store/core_writer.h"
#include "store/store.h"

namespace obit {

/// What became of a core file.
struct ImportedCrash {
  CrashRecord record;
  Committed committed;
  std::optional<Error> unsynced;  ///< why it may not survive a power cut
};

/// Where imported crashes go.
struct ImportTarget {
  /// Opens the store, or makes it: called once a file is known to be a core.
  std::function<Result<Store>()> store;
  /// Opens the numbers of that store, which the crash takes its own from.
  std::function<StoreNumbers(const Store&)> numbers;
};

/// Takes a core file that somebody had into the store: plain, or compressed by zstd, lz4, xz or gzip, told by
/// its content. Holes of a plain file are not read. The record is made from the core's notes; its time is
/// that of the file. A core that ends early is kept as truncated if its notes begin before the end; so is one
/// that a checksum says is damaged, though all its bytes are there.
/// `progress` gets the bytes of the file that are done, of how many. EBADMSG: it is no core, with the reason.
/// Whatever fails, nothing is left in the store.
[[nodiscard]] Result<ImportedCrash> ImportCore(
    const ImportTarget& target, const std::string& path, const CoreWriter::Options& options,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace obit
