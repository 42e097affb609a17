#include "base/signal_name.h"

#include <csignal>

#include <gtest/gtest.h>

namespace obit {
namespace {

TEST(SignalNamed, ReadsWhatIsWritten) {
  for (const int number : {SIGHUP, SIGABRT, SIGSEGV, SIGSYS, SIGRTMIN, SIGRTMIN + 3, SIGRTMAX})
    EXPECT_EQ(SignalNamed(SignalName(number)), number);
  for (const char* name : {"", "SEGV", "sigsegv", "signal 99", "SIGRTMIN+99", "SIG", "11"})
    EXPECT_EQ(SignalNamed(name), std::nullopt) << name;
}

TEST(SignalName, IsTheOneOfSignal7) {
  EXPECT_EQ(SignalName(SIGSEGV), "SIGSEGV");
  EXPECT_EQ(SignalName(SIGABRT), "SIGABRT");
  EXPECT_EQ(SignalName(SIGSYS), "SIGSYS");
  EXPECT_EQ(SignalName(SIGRTMIN), "SIGRTMIN");
  EXPECT_EQ(SignalName(SIGRTMIN + 2), "SIGRTMIN+2");
}

TEST(SignalName, OfAnUnknownNumberIsTheNumber) {
  for (const int number : {-1, 0, 99, 1 << 30})
    EXPECT_EQ(SignalName(number), "signal " + std::to_string(number));
}

TEST(SignalCodeName, DependsOnTheSignal) {
  EXPECT_EQ(SignalCodeName(SIGSEGV, 1), "SEGV_MAPERR");
  EXPECT_EQ(SignalCodeName(SIGBUS, 1), "BUS_ADRALN");
  EXPECT_EQ(SignalCodeName(SIGFPE, 1), "FPE_INTDIV");
  EXPECT_EQ(SignalCodeName(SIGTERM, 1), "1");
}

TEST(SignalCodeName, KnowsWhatAnySignalCanHave) {
  EXPECT_EQ(SignalCodeName(SIGSEGV, SI_USER), "SI_USER");
  EXPECT_EQ(SignalCodeName(SIGABRT, SI_TKILL), "SI_TKILL");
  EXPECT_EQ(SignalCodeName(SIGSEGV, SI_KERNEL), "SI_KERNEL");
}

TEST(SignalCodeName, OfAnUnknownCodeIsTheNumber) {
  EXPECT_EQ(SignalCodeName(SIGSEGV, 77), "77");
  EXPECT_EQ(SignalCodeName(SIGSEGV, -77), "-77");
}

}  // namespace
}  // namespace obit
