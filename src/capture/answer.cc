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

Result<void> AskFor(Detail detail, const Fd& connection, const CoredumpRequest& offer,
                    std::int64_t deadline) {
  CoredumpExchange exchange(connection, offer);
  OBIT_TRY(exchange.Send(WishOf(detail)));
  while (OBIT_TRY(exchange.Receive()) == CoredumpExchange::Step::kMore)
    if (!WaitReadable(connection, deadline))
      return Refuse(ETIMEDOUT, "the kernel did not react to the answer");
  return exchange.Verdict();
}

}  // namespace obit
