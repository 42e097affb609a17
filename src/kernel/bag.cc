#include "kernel/bag.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/unix_socket.h"

namespace obit {
namespace {

/// Mapped files of one item. By default a socket takes 278 messages before they are read (Linux 6.18,
/// net.core.wmem_default), which is less than kMappedFilesMax.
constexpr std::size_t kFilesAtOnce = 32;
/// A thread's id and its name, which has at most 15 bytes (TASK_COMM_LEN of include/linux/sched.h).
struct ThreadItem {
  std::int32_t tid = 0;
  char name[16] = {};
};
/// Names of one item, for the same reason.
constexpr std::size_t kThreadsAtOnce = 128;
constexpr std::size_t kTextMax = std::max({kBagNoteMax, kMaxPassedFds * sizeof(std::uint64_t),
                                           kThreadsAtOnce * sizeof(ThreadItem), kEncodedOutlookMax});
/// Messages of one bag that are looked at: more than any sender puts in, also one that puts files one by one.
constexpr std::size_t kMessagesMax = kMappedFilesMax + kThreadNamesMax / kThreadsAtOnce + 16;

std::array<Fd*, 4> PartsOf(ProcessMemory& memory) {
  return {&memory.mem, &memory.pagemap, &memory.maps, &memory.smaps};
}

void TakeMapped(const BagItem& item, std::span<const std::byte> text, std::span<Fd> fds,
                BagContents& contents) {
  if (fds.empty() || text.size() != (fds.size() - 1) * sizeof(std::uint64_t)) return;
  std::uint64_t begin = item.begin;
  for (Fd& file : fds) {
    if (contents.mapped.size() == kMappedFilesMax) return;
    contents.mapped.push_back({begin, std::move(file)});
    if (text.empty()) return;
    std::memcpy(&begin, text.data(), sizeof begin);
    text = text.subspan(sizeof begin);
  }
}

void TakeThreads(std::span<const std::byte> text, ThreadNames& threads) {
  for (; text.size() >= sizeof(ThreadItem); text = text.subspan(sizeof(ThreadItem))) {
    ThreadItem item;
    std::memcpy(&item, text.data(), sizeof item);
    std::string name(item.name, ::strnlen(item.name, sizeof item.name));
    if (item.tid > 0 && !name.empty() && threads.size() < kThreadNamesMax)
      threads.emplace(item.tid, std::move(name));
  }
}

std::optional<MemoryOutlook> OutlookOf(std::span<const std::byte> text, std::span<Fd> fds) {
  auto outlook = DecodeMemoryOutlook(text);
  if (!outlook || fds.empty() || fds.size() > 2) return std::nullopt;
  outlook->meminfo = std::move(fds[0]);
  if (fds.size() == 2) outlook->pressure = std::move(fds[1]);
  return outlook;
}

std::string TextOf(std::span<const std::byte> text) {
  return {reinterpret_cast<const char*>(text.data()), std::min(text.size(), kBagNoteMax)};
}

/// The first of each kind counts, but of mapped files and of threads all do.
void Take(const BagItem& item, std::span<const std::byte> text, std::span<Fd> fds, BagContents& contents) {
  switch (item.kind) {
    case BagItem::Kind::kMemory:
      if (fds.size() == 4 && !contents.memory) {
        auto next = fds.begin();
        for (Fd* part : PartsOf(contents.memory.emplace())) *part = std::move(*next++);
      }
      return;
    case BagItem::Kind::kProgram:
      if (contents.program.file || !contents.program.missing.empty()) return;
      if (fds.size() == 1) contents.program = {std::move(fds[0]), item.reachable != 0, {}};
      if (fds.empty()) contents.program.missing = TextOf(text);
      return;
    case BagItem::Kind::kMapped:
      return TakeMapped(item, text, fds, contents);
    case BagItem::Kind::kTrace:
      if (fds.size() == 1 && !contents.trace) contents.trace = std::move(fds[0]);
      return;
    case BagItem::Kind::kThreads:
      return TakeThreads(text, contents.threads);
    case BagItem::Kind::kOutlook:
      if (!contents.outlook) contents.outlook = OutlookOf(text, fds);
      return;
    case BagItem::Kind::kNote:
      if (contents.note.empty()) contents.note = TextOf(text);
      return;
    case BagItem::Kind::kEnd:
      contents.whole = true;
      return;
  }
}

/// True if there is something to receive, or the end.
bool Wait(const Fd& bag, std::int64_t deadline) {
  for (;;) {
    const std::int64_t left = std::max<std::int64_t>(deadline - MonotonicNow(), 0);
    const timespec timeout{left / 1'000'000'000, left % 1'000'000'000};
    pollfd watched{bag.get(), POLLIN, 0};
    const int ready = ::ppoll(&watched, 1, &timeout, nullptr);
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return false;
  }
}

}  // namespace

void BagSender::Put(const BagItem& item, std::span<const int> fds, std::string_view text) {
  if (!bag_) return;
  std::array<std::byte, sizeof item + kTextMax> bytes;
  text = text.substr(0, kTextMax);
  std::memcpy(bytes.data(), &item, sizeof item);
  std::ranges::copy(std::as_bytes(std::span(text)), bytes.data() + sizeof item);
  // EAGAIN: it is full; ETOOMANYREFS: too many descriptors are under way (RLIMIT_NOFILE, of this user in
  // all); EPIPE: nobody wants it.
  if (!SendMessage(bag_, std::span(bytes).first(sizeof item + text.size()), fds, MSG_DONTWAIT)) bag_.Reset();
}

void BagSender::PutMemory(const ProcessMemory& memory) {
  const std::array fds{memory.mem.get(), memory.pagemap.get(), memory.maps.get(), memory.smaps.get()};
  Put({.kind = BagItem::Kind::kMemory}, fds);
}

void BagSender::PutProgram(const Executable& program) {
  if (!program.file) {
    if (!program.missing.empty())
      Put({.kind = BagItem::Kind::kProgram}, {}, std::string_view(program.missing).substr(0, kBagNoteMax));
    return;
  }
  const int file = program.file.get();
  Put({.kind = BagItem::Kind::kProgram, .reachable = program.reachable ? 1U : 0U}, std::span(&file, 1));
}

void BagSender::PutMapped(std::span<const MappedFile> files) {
  while (!files.empty()) {
    const auto part = files.first(std::min(files.size(), kFilesAtOnce));
    std::vector<int> fds;
    std::string begins;  // of all but the first
    for (const MappedFile& mapped : part) {
      if (!fds.empty()) begins.append(reinterpret_cast<const char*>(&mapped.begin), sizeof mapped.begin);
      fds.push_back(mapped.file.get());
    }
    Put({.kind = BagItem::Kind::kMapped, .begin = part.front().begin}, fds, begins);
    files = files.subspan(part.size());
  }
}

void BagSender::PutTrace(const Fd& core) {
  const int file = core.get();
  Put({.kind = BagItem::Kind::kTrace}, std::span(&file, 1));
}

void BagSender::PutThreads(const ThreadNames& names) {
  std::string text;
  for (auto next = names.begin(); next != names.end();) {
    ThreadItem item{.tid = next->first};
    std::ranges::copy(std::string_view(next->second).substr(0, sizeof item.name), item.name);
    text.append(reinterpret_cast<const char*>(&item), sizeof item);
    if (++next != names.end() && text.size() < kThreadsAtOnce * sizeof item) continue;
    Put({.kind = BagItem::Kind::kThreads}, {}, text);
    text.clear();
  }
}

/// Without the first file there is nothing to see by when others want the memory.
void BagSender::PutOutlook(const MemoryOutlook& outlook) {
  if (!outlook.meminfo) return;
  std::vector<int> fds{outlook.meminfo.get()};
  if (outlook.pressure) fds.push_back(outlook.pressure.get());
  Put({.kind = BagItem::Kind::kOutlook}, fds, EncodeMemoryOutlook(outlook));
}

void BagSender::PutNote(std::string_view note) {
  Put({.kind = BagItem::Kind::kNote}, {}, note.substr(0, kBagNoteMax));
}

void BagSender::End() {
  Put({.kind = BagItem::Kind::kEnd});
  bag_.Reset();
}

Result<BagContents> EmptyBag(Fd bag, std::int64_t deadline) {
  if (!bag) return Fail(EBADF, "empty a bag");
  BagContents contents;
  for (std::size_t count = 0; count < kMessagesMax && !contents.whole; ++count) {
    if (!Wait(bag, deadline)) break;
    auto message = ReceiveMessage(bag, sizeof(BagItem) + kTextMax, MSG_DONTWAIT);
    if (!message) {
      // EMSGSIZE: not of a BagSender, or this process may not have so many descriptors. ECONNRESET: the
      // sender is gone. Others, at the first look: it is no socket.
      const int code = message.error().code;
      if (code == EMSGSIZE || code == EAGAIN || IsShortage(message.error())) continue;
      if (code == ECONNRESET) break;
      return std::unexpected(std::move(message).error().In("empty a bag"));
    }
    if (message->bytes.empty() && message->fds.empty()) break;  // the sender is gone
    if (message->bytes.size() < sizeof(BagItem)) continue;
    BagItem item;
    std::memcpy(&item, message->bytes.data(), sizeof item);
    Take(item, std::span(message->bytes).subspan(sizeof item), message->fds, contents);
  }
  return contents;
}

}  // namespace obit
