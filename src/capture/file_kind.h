#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace obit {

/// What a file is that was taken for a core, by how it begins, and what to do: "it is text, not a core".
/// `begin` has its first bytes, some hundred if there are so many; empty: the file is.
[[nodiscard]] std::string DescribeNoCore(std::span<const std::byte> begin);

/// They are those of an ELF file of type ET_CORE.
[[nodiscard]] bool IsElfCore(std::span<const std::byte> begin);

/// How many bytes DescribeNoCore looks at.
inline constexpr std::size_t kKindBytes = 512;

}  // namespace obit
