// glog gives up: the argument says how.

#include <glog/logging.h>
#include <glog/raw_logging.h>

#include "cause.h"

FUNCTION long check_orders() {
  const int orders = HIDE(2);
  CHECK_EQ(orders, 3) << "orders of " << arguments[1];
  return 0;
}

FUNCTION long check_open() {
  const bool open = HIDE(false);
  CHECK(open) << "the shop is closed";
  return 0;
}

FUNCTION long log_fatal() {
  LOG(FATAL) << "no more " << arguments[1];
  return 0;
}

FUNCTION long raw_check() {
  const int jars = HIDE(0);
  RAW_CHECK(jars > 3, "too few");
  return 0;
}

FUNCTION long choose() {
  google::InitGoogleLogging("shop");
  FLAGS_logtostderr = true;
  long (*const functions[])() = {check_orders, check_open, log_fatal, raw_check};
  const long result = functions[arguments[0][0] - '0']();
  STAY();
  return result;
}

DIES_IN(choose)
