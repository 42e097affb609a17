#include "capture/answer.h"

#include <cerrno>

#include "capture/stream.h"
#include "kernel/coredump_exchange.h"

namespace obit {

CoredumpWish WishOf(Detail detail) {
  switch (detail) {
    case Detail::kFull:
    case Detail::kMinimal:
      return CoredumpWish::kCore;
    case Detail::kEvent:
      return CoredumpWish::kEvent;
    case Detail::kReject:
      return CoredumpWish::kReject;
  }
  return CoredumpWish::kEvent;
}

/// The kernel goes by the first of these that fits a mapping (vma_dump_size() of fs/coredump.c).
std::optional<std::uint64_t> TypesOfMinimal(const CoredumpRequest& offer) {
  // What was written to files' private mappings is of AnonPrivate, but without that of FilePrivate.
  if ((offer.memory_types & kCoredumpAnonPrivate) == 0) return std::nullopt;
  // Stacks may lie in huge pages, and the data of programs whose files are of a DAX file system there only.
  std::uint64_t types = offer.memory_types & (kCoredumpAnonPrivate | kCoredumpElfHeaders |
                                              kCoredumpHugetlbPrivate | kCoredumpDaxPrivate);
  // The first pages of ELF files are a part of it: that is less than the process selected, not more.
  if ((offer.memory_types & kCoredumpFilePrivate) != 0) types |= kCoredumpElfHeaders;
  if (types == offer.memory_types) return std::nullopt;
  return types;
}

Result<CoredumpAck> AskFor(Detail detail, const Fd& connection, const CoredumpRequest& offer,
                           std::int64_t deadline, std::optional<std::uint64_t> memory_types) {
  CoredumpExchange exchange(connection, offer);
  const CoredumpAck ack = OBIT_TRY(exchange.Send(WishOf(detail), memory_types));
  while (OBIT_TRY(exchange.Receive()) == CoredumpExchange::Step::kMore)
    if (!WaitReadable(connection, deadline))
      return Refuse(ETIMEDOUT, "the kernel did not react to the answer");
  OBIT_TRY(exchange.Verdict());
  return ack;
}

}  // namespace obit
