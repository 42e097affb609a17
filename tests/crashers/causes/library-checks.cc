// Checks of the C++ library that fail: the argument says which.

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cause.h"

FUNCTION long vector_index() {
  std::vector<int> prices(3);
  return prices[HIDE(7u)];
}

FUNCTION long empty_optional() {
  std::optional<long> price;
  if (HIDE(0)) price = 1;
  return *price;
}

FUNCTION long empty_deque() {
  std::deque<long> orders;
  return orders.front();
}

FUNCTION long string_index() {
  std::string name = "jam";
  return name[HIDE(9u)];
}

FUNCTION long choose() {
  const long all[] = {'v', 'o', 'd', 's'};
  long (*const functions[])() = {vector_index, empty_optional, empty_deque, string_index};
  for (int i = 0; i < 4; ++i) {
    if (arguments[0][0] != all[i]) continue;
    const long result = functions[i]();
    STAY();
    return result;
  }
  return 2;
}

DIES_IN(choose)
