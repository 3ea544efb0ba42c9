#pragma once
// A few small files in one: tar (POSIX.1-2001 or ustar) under gzip (RFC 1952). Only plain files in
// one folder, each once; links, devices, sparse files, folders and paths are refused. What is
// unpacked is bounded before it is looked at, however well it was packed. libarchive underneath.
//
// Thread rule: free functions, thread-safe. Errors: malformed, too_large, unsupported.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <span>
#include <string>
#include <vector>

namespace custos::archive {

struct entry {
  std::string name; ///< a file name: 1-100 characters of A-Z a-z 0-9 . _ -, no dot in front
  bytes content;
};

struct limits {
  std::size_t packed_bytes_max = std::size_t{16} << 20;
  /// Of the tar, with its headers and padding.
  std::size_t unpacked_bytes_max = std::size_t{64} << 20;
  std::size_t entries_max = 16;
};

inline constexpr std::size_t name_bytes_max = 100; // of a ustar header

/// Every entry of an archive, in its order.
result<std::vector<entry>> read_tgz(byte_view packed, const limits& limit = {});

/// Equal entries make equal octets: no time, no owner. The names are as they are read.
result<bytes> write_tgz(std::span<const entry> entries);

} // namespace custos::archive
