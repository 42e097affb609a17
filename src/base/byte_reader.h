#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace obit {

/// Reads values from untrusted bytes, host byte order. Every read is checked; a failed one changes nothing.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - at_; }
  [[nodiscard]] std::size_t position() const { return at_; }

  /// The next sizeof(T) bytes as a T, or nothing if fewer are left.
  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> Read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  /// The next `n` bytes, or nothing.
  [[nodiscard]] std::optional<std::span<const std::byte>> Take(std::uint64_t n) {
    if (n > remaining()) return std::nullopt;
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(n));
    at_ += static_cast<std::size_t>(n);
    return taken;
  }

  /// The text up to the next NUL, which is consumed too; nothing if there is no NUL.
  [[nodiscard]] std::optional<std::string_view> TakeCString() {
    if (remaining() == 0) return std::nullopt;  // memchr(3) takes no null pointer
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    const void* end = std::memchr(begin, 0, remaining());
    if (end == nullptr) return std::nullopt;
    const std::string_view text(begin, static_cast<std::size_t>(static_cast<const char*>(end) - begin));
    at_ += text.size() + 1;
    return text;
  }

  /// Moves to the next multiple of `alignment` (a power of two); false if that lies past the end.
  [[nodiscard]] bool AlignTo(std::size_t alignment) {
    const std::size_t aligned = (at_ + alignment - 1) & ~(alignment - 1);
    if (aligned < at_ || aligned > bytes_.size()) return false;
    at_ = aligned;
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace obit
