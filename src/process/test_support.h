#pragma once

// Tests of what runs on an event loop. Included by tests only.

#include <chrono>
#include <deque>
#include <functional>

#include <gtest/gtest.h>

#include "process/event_loop.h"

namespace obit::testing {

class LoopTest : public ::testing::Test {
 protected:
  /// When `reached`, the test goes on with `then`.
  struct Moment {
    std::function<bool()> reached;
    std::function<void()> then = [] {};
  };
  /// Runs the loop, which can be done once, through these moments. The bound only ends a test that has
  /// failed.
  void RunThrough(std::deque<Moment> moments) {
    moments_ = std::move(moments);
    const EventSource bound = *loop_.After(std::chrono::seconds(20), [this] {
      ADD_FAILURE() << "it did not get there: " << moments_.size() << " to go";
      loop_.Stop();
    });
    Poll();
    EXPECT_TRUE(loop_.Run());
  }

  EventLoop loop_ = *EventLoop::Create();

 private:
  void Poll() {
    while (!moments_.empty() && moments_.front().reached()) {
      moments_.front().then();
      moments_.pop_front();
    }
    if (moments_.empty()) return loop_.Stop();
    poll_ = *loop_.After(std::chrono::milliseconds(1), [this] { Poll(); });
  }

  EventSource poll_;
  std::deque<Moment> moments_;
};

}  // namespace obit::testing
