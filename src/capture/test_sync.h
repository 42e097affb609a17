#pragma once

// For tests of a disk that does not sync: capture_test.cc takes the place of fsync(2).

#include <string>

namespace obit {

/// The end of the name of files whose fsync(2) fails with EIO; empty: none.
inline std::string unsyncable;

}  // namespace obit
