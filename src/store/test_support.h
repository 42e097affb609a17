#pragma once

// What the tests of the store share. Included by tests only.

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <zstd.h>

#include "base/test_support.h"
#include "crash/record_json.h"
#include "crash/report.h"
#include "store/core_writer.h"
#include "store/store.h"

namespace obit::testing {

using Bytes = std::vector<std::byte>;

inline Fd MemoryFile(std::span<const std::byte> content = {}) {
  Fd file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_THAT(WriteAllAt(file, content, 0), Succeeds());
  return file;
}

inline Bytes Content(const Fd& file) {
  struct stat status{};
  EXPECT_EQ(::fstat(file.get(), &status), 0);
  Bytes content(static_cast<std::size_t>(status.st_size));
  EXPECT_THAT(ReadFullAt(file, content, 0), Succeeds());
  return content;
}

/// Bytes that do not compress, the same for each `seed`.
inline Bytes Noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() >> 56);
  return bytes;
}

inline Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// A stored core with `plain` in it, as CoreWriter makes it.
inline Fd StoredFile(std::span<const std::byte> plain, unsigned threads = 2) {
  Fd file = MemoryFile();
  CoreWriter writer(file, {.threads = threads});
  EXPECT_THAT(writer.Append(plain), Succeeds());
  EXPECT_THAT(writer.Finish(), Succeeds());
  return file;
}

/// All that nobody is writing, locked.
inline Result<std::vector<IncomingCrash>> TakeAbandoned(const Store& store) {
  std::vector<IncomingCrash> abandoned;
  OBIT_TRY(store.ForEachAbandoned([&](IncomingCrash crash) -> Result<void> {
    abandoned.push_back(std::move(crash));
    return {};
  }));
  return abandoned;
}

/// What `zstd -dc` makes of the file.
inline Bytes UnpackedByZstd(const Fd& file) {
  const Bytes stored = Content(file);
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  Bytes plain, room(ZSTD_DStreamOutSize());
  ZSTD_inBuffer in{stored.data(), stored.size(), 0};
  std::size_t left = 0;
  while (in.pos < in.size) {
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) != 0) {
      ADD_FAILURE() << ZSTD_getErrorName(left);
      return {};
    }
    plain.insert(plain.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(out.pos));
  }
  EXPECT_EQ(left, 0u) << "the file ends inside a frame";
  return plain;
}

/// 14:02:11 UTC on 2026-11-23.
inline constexpr std::int64_t kSomeTime = 1'795'442'531'000'000'000;
inline constexpr std::int64_t kOneDay = 86'400'000'000'000;

inline CrashRecord SampleRecord(std::int64_t time = kSomeTime) {
  CrashRecord record;
  record.id = NewCrashId();
  record.time = time;
  record.process.pid = 48213;
  record.process.uid = 1000;
  record.process.comm = "imgproxy";
  record.process.exe = "/usr/bin/img\xff proxy";
  record.signal.number = SIGSEGV;
  record.capture.detail = Detail::kEvent;
  record.capture.outcome = CrashOutcome::kEvent;
  return record;
}

inline Report SampleReport(const std::string& id) {
  Report report;
  report.id = id;
  report.time = kSomeTime;
  report.cause = {.kind = CauseKind::kNullRead,
                  .access = MemoryAccess::kRead,
                  .address = 0x18,
                  .reg = "rdi",
                  .function = "img\xff"};
  report.fingerprint.value = "a71c0900b04d6e58";
  report.fingerprint.frames = {"Cache::find"};
  return report;
}

/// Makes a crash of `record` in the store, in the way that a server does.
inline CrashLocation CommitCrash(const Store& store, const CrashRecord& record) {
  const auto incoming = store.Begin(record.id);
  EXPECT_THAT(incoming, Succeeds());
  if (!incoming) return {};
  EXPECT_THAT(WriteFileAtomically(incoming->dir, kRecordFile, RecordToJson(record), 0600), Succeeds());
  const auto location = store.Commit(record.id, record.time);
  EXPECT_THAT(location, Succeeds());
  return location.value_or(CrashLocation{});
}

/// All that are committed, in no order.
inline std::vector<CrashLocation> CrashesOf(const Store& store) {
  std::vector<CrashLocation> crashes;
  const auto days = store.Days();
  EXPECT_THAT(days, Succeeds());
  for (std::size_t i = 0; days && i < days->size(); ++i) {
    const auto of_day = store.CrashesOf((*days)[i]);
    EXPECT_THAT(of_day, Succeeds());
    if (of_day) crashes.insert(crashes.end(), of_day->begin(), of_day->end());
  }
  return crashes;
}

}  // namespace obit::testing
