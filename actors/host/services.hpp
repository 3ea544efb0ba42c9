#pragma once
// The host's applied configuration: its document, its place in the host's store. Pure.

#include "adapters/rocksdb/kv_store.hpp"
#include "messages/error.hpp"
#include "messages/host.hpp"

#include <string>
#include <string_view>

namespace custos::host {

/// {"attestation":[url],"keys":[url],"trusted_ca":PEM,"revision":n}; errors name the field.
result<host_services> read_services(std::string_view document);
/// Canonical JSON.
std::string services_document(const host_services& s);
std::string services_fingerprint(const host_services& s);

/// What is kept of the applied configuration; a host without one is unconfigured.
result<std::optional<host_services>> load_services(const rocksdb::kv_store& store);
result<void> save_services(rocksdb::kv_store& store, const host_services& s);
result<void> erase_services(rocksdb::kv_store& store);

/// When to attest again: at 3/4 of the token's life, less up to a tenth of it by `jitter` (0-255),
/// so that a fleet that booted together does not come back together. A life of more than 30 days
/// counts as 30 days. Unix seconds.
std::int64_t refresh_at(std::int64_t now, std::int64_t expires, std::uint8_t jitter);
/// Seconds to wait after `failures` attempts in a row that failed: 1, 2, 4 ... 300, jittered by
/// half.
std::uint32_t back_off_s(std::uint32_t failures, std::uint8_t jitter);

} // namespace custos::host
