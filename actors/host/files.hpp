#pragma once
// Files of the host agent. Thread rule: pure but for the file; one writer a file.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <filesystem>

namespace custos::host {

/// A whole file, also of sysfs and securityfs, which have no size. Errors: errc::not_found (no such
/// file), errc::forbidden (no permission), errc::too_large, errc::io_failure; each names the path.
result<bytes> read_file(const std::filesystem::path& file, std::size_t bytes_max, const char* what);
/// Replaces the file, synced; errc::storage_failure.
result<void> replace_file(const std::filesystem::path& file, byte_view content, unsigned mode);

} // namespace custos::host
