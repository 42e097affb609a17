#include "base/processors.h"

#include <functional>
#include <thread>

#include <gtest/gtest.h>

namespace obit {
namespace {

cpu_set_t MayRunOn() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

/// Each test has a thread of its own, which takes what is done to it along.
void InThread(const std::function<void()>& test) { std::jthread{test}; }

TEST(Processors, AThreadStaysAsLongAsItIsTold) {
  InThread([] {
    const cpu_set_t before = MayRunOn();
    {
      const StayOnProcessor here;
      ASSERT_EQ(here.processor().has_value(), CPU_COUNT(&before) > 1);
      if (!here.processor()) return;
      const cpu_set_t now = MayRunOn();
      EXPECT_EQ(CPU_COUNT(&now), 1);
      EXPECT_TRUE(CPU_ISSET(here.processor()->number, &now));
      EXPECT_FALSE(StayOnProcessor().processor()) << "no choice, so nothing to keep clear of";
    }
    const cpu_set_t after = MayRunOn();
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
  });
}

TEST(Processors, OthersRunBesideIt) {
  InThread([] {
    const cpu_set_t before = MayRunOn();
    const StayOnProcessor here;
    if (!here.processor()) return;
    InThread([&] {
      KeepOff(*here.processor());
      const cpu_set_t now = MayRunOn();
      EXPECT_FALSE(CPU_ISSET(here.processor()->number, &now));
      EXPECT_EQ(CPU_COUNT(&now), CPU_COUNT(&before) - 1);
    });
  });
}

}  // namespace
}  // namespace obit
