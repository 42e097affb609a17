// The small parts of the manager's core.

#include <gmock/gmock.h>

#include "manager/deadlines.h"
#include "manager/fair_queue.h"
#include "manager/patient_clock.h"
#include "manager/seat.h"
#include "manager/times.h"

namespace obit {
namespace {

using ::testing::Optional;

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(Role, HasAName) {
  EXPECT_EQ(NameOf(Role::kSupervisor), "supervisor");
  EXPECT_EQ(NameOf(Role::kClerk), "clerk");
}

TEST(ShareOf, IsHalfAndAtLeastOne) {
  EXPECT_EQ(ShareOf(0), 0u);
  EXPECT_EQ(ShareOf(1), 1u);
  EXPECT_EQ(ShareOf(3), 1u);
  EXPECT_EQ(ShareOf(4), 2u);
}

TEST(Deadlines, AreTakenInTheirOrder) {
  Deadlines<int> deadlines;
  EXPECT_EQ(deadlines.Next(), INT64_MAX);
  deadlines.Set(1, 30);
  deadlines.Set(2, 20);
  deadlines.Set(3, 10);
  deadlines.Set(3, 40);
  deadlines.Clear(4);
  EXPECT_EQ(deadlines.Next(), 20);
  EXPECT_EQ(deadlines.TakeDue(19), std::nullopt);
  EXPECT_THAT(deadlines.TakeDue(30), Optional(2));
  EXPECT_THAT(deadlines.TakeDue(30), Optional(1));
  EXPECT_EQ(deadlines.TakeDue(30), std::nullopt);
  deadlines.Clear(3);
  EXPECT_EQ(deadlines.Next(), INT64_MAX);
}

TEST(FairQueue, TheNextIsOfWhoHasLeastAndThenTheFirst) {
  FairQueue queue;
  const User a{1}, b{2}, unknown{};
  queue.Add(a, 1);
  queue.Add(a, 2);
  queue.Add(b, 3);
  queue.Add(unknown, 4);
  const auto all_have = [](std::size_t seats) { return [seats](User) { return std::optional(seats); }; };
  EXPECT_THAT(queue.Next(all_have(0)), Optional(1));
  EXPECT_THAT(queue.Next([&](User user) { return std::optional<std::size_t>(user == a ? 2 : 1); }),
              Optional(3));
  EXPECT_THAT(
      queue.Next([&](User user) { return user == unknown ? std::optional<std::size_t>(9) : std::nullopt; }),
      Optional(4));
  EXPECT_EQ(queue.Next([](User) { return std::optional<std::size_t>(); }), std::nullopt);
  EXPECT_TRUE(queue.Remove(a, 1));
  EXPECT_FALSE(queue.Remove(a, 1));
  EXPECT_THAT(queue.Next(all_have(0)), Optional(2));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_TRUE(queue.HasAny([&](User user, CrashKey first) { return user == a && first == 2; }));
  EXPECT_TRUE(queue.HasAny([&](User user, CrashKey) { return user != a; }));
  EXPECT_TRUE(queue.Remove(b, 3));
  EXPECT_TRUE(queue.Remove(unknown, 4));
  EXPECT_FALSE(queue.HasAny([&](User user, CrashKey) { return user != a; }));
  EXPECT_TRUE(queue.Remove(a, 2));
  EXPECT_EQ(queue.Next(all_have(0)), std::nullopt);
}

TEST(PatientClock, TakesALittleLatenessAsItIs) {
  PatientClock clock;
  EXPECT_EQ(clock.Read(kSecond, INT64_MAX), kSecond);
  EXPECT_EQ(clock.Read(2 * kSecond + PatientClock::kLate, 2 * kSecond), 2 * kSecond + PatientClock::kLate);
  EXPECT_EQ(clock.Read(100 * kSecond, INT64_MAX), 100 * kSecond) << "nobody waited";
}

TEST(PatientClock, TakesAStandstillAsMissedTime) {
  PatientClock clock;
  EXPECT_EQ(clock.Read(kSecond, INT64_MAX), kSecond);
  EXPECT_EQ(clock.Read(100 * kSecond, 10 * kSecond), 10 * kSecond - PatientClock::kLate);
  EXPECT_EQ(clock.ToMonotonic(10 * kSecond), 100 * kSecond + PatientClock::kLate);
  EXPECT_EQ(clock.ToMonotonic(INT64_MAX), INT64_MAX);
  EXPECT_EQ(clock.Read(101 * kSecond, 11 * kSecond), 11 * kSecond - PatientClock::kLate);
}

TEST(PatientClock, NeverGoesBack) {
  PatientClock clock;
  EXPECT_EQ(clock.Read(kSecond, INT64_MAX), kSecond);
  EXPECT_EQ(clock.Read(100 * kSecond, kSecond + 1), kSecond);
}

TEST(PatientClock, GoesOnUnderALoadThatDoesNotEnd) {
  PatientClock clock;
  EXPECT_EQ(clock.Read(100 * kSecond, 99 * kSecond), 99 * kSecond - PatientClock::kLate);
  const std::int64_t late = 100 * kSecond + PatientClock::kSeldom;
  EXPECT_GT(clock.Read(late - 1, 99 * kSecond), 99 * kSecond) << "it has corrected itself lately";
  EXPECT_LT(clock.Read(late, 99 * kSecond + 1), late - kSecond);
}

}  // namespace
}  // namespace obit
