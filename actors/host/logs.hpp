#pragma once
// The kernel's logs that evidence holds. Thread rule: pure but for the files.

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <filesystem>

namespace custos::host {

/// Largest logs read; nodes judge by settings of their own.
inline constexpr std::size_t event_log_bytes_max = 2U << 20U;
inline constexpr std::size_t ima_log_bytes_max = 64U << 20U;
inline constexpr std::uint32_t ima_entries_max = 1U << 20U;
/// Largest part of an IMA log that is sent: what evidence may hold on the wire.
inline constexpr std::size_t ima_sent_bytes_max = 4U << 20U;

/// The boot event log. Errors say what an administrator can do; errc::not_found, errc::forbidden,
/// errc::too_large, errc::io_failure.
result<bytes> read_event_log(const std::filesystem::path& file);

/// The IMA log, ASCII or binary; empty if `file` is empty or there is none: this kernel measures no
/// files. Errors: errc::forbidden, errc::too_large, errc::io_failure.
result<bytes> read_ima_log(const std::filesystem::path& file);

/// What follows the first `entries` entries. Errors: errc::malformed, errc::unsupported; and
/// errc::invalid_argument where there are fewer.
result<bytes> ima_log_from(byte_view log, std::uint64_t entries);

} // namespace custos::host
