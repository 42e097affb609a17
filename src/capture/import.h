#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "store/commit.h"
#include "store/core_writer.h"
#include "store/store.h"

namespace obit {

/// Takes a core file that somebody had into the store: plain, or compressed by zstd, lz4, xz or gzip, told by
/// its content. Holes of a plain file are not read. The record is made from the core's notes; its time is
/// that of the file. A core that ends early is kept as truncated if its notes begin before the end.
/// `progress` gets the bytes of the file that are done, of how many. EBADMSG: it is no core, with the reason.
/// `store` opens the store, or makes it: it is called once the file is known to be a core. Whatever fails,
/// nothing is left in the store.
[[nodiscard]] Result<Committed> ImportCore(const std::function<Result<Store>()>& store,
                                           const std::string& path, const CoreWriter::Options& options,
                                           const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace obit
