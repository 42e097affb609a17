#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/fd.h"
#include "base/unix_socket.h"

namespace obit {

/// A structure as the bytes of a message.
template <class T>
[[nodiscard]] std::span<const std::byte> BytesOf(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_bytes(std::span(&value, 1));
}

/// The structure that a message begins with; nothing if it is shorter.
template <class T>
[[nodiscard]] std::optional<T> HeadOf(const Message& message) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (message.bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, message.bytes.data(), sizeof value);
  return value;
}

/// The text behind a T.
template <class T>
[[nodiscard]] std::string_view TextBehind(const Message& message) {
  std::string_view all(reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size());
  return all.substr(std::min(sizeof(T), all.size()));
}

/// Those that are open, as SendMessage takes them.
[[nodiscard]] inline std::vector<int> NumbersOf(std::initializer_list<const Fd*> fds) {
  std::vector<int> numbers;
  for (const Fd* fd : fds)
    if (*fd) numbers.push_back(fd->get());
  return numbers;
}

}  // namespace obit
