// glog gives up.
#include <glog/logging.h>

extern "C" {
#include "death.h"
}

namespace {

DEATH check() { CHECK(HIDE(1) == 2) << "numbers are broken"; }
DEATH check_equal() { CHECK_EQ(HIDE(1), 2) << "unequal"; }
DEATH fatal() { LOG(FATAL) << "no way to go on, code " << 7; }
DEATH not_null() { CHECK_NOTNULL(HIDE(static_cast<char*>(nullptr))); }

const way ways[] = {{"check", check}, {"check-equal", check_equal}, {"fatal", fatal}, {"not-null", not_null}};

}  // namespace

DIES_BY(ways)
