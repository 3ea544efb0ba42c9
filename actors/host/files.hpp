#pragma once
// Files of the host agent. Thread rule: pure but for the file; one writer a file.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <filesystem>
#include <string_view>

namespace custos::host {

enum class follow_link : bool { no, yes };

/// What the name of a file ends in while its replacement is being written.
inline constexpr std::string_view replacement_suffix = ".new";

/// A whole file, also of sysfs and securityfs, which have no size. Errors: errc::not_found (no such
/// file), errc::forbidden (no permission), errc::too_large, errc::io_failure; each names the path.
/// Without following: a symbolic link, a pipe or a device is errc::io_failure.
result<bytes> read_file(const std::filesystem::path& file, std::size_t bytes_max, const char* what,
                        follow_link follow = follow_link::yes);
/// Replaces the file, synced; errc::storage_failure.
result<void> replace_file(const std::filesystem::path& file, byte_view content, unsigned mode);
/// A new file, synced, whole or not at all; errc::already_exists, errc::storage_failure.
result<void> create_file(const std::filesystem::path& file, byte_view content, unsigned mode);

} // namespace custos::host
