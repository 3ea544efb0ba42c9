#pragma once
// Records of hosts and kept evidence as stored: JSON, one document a host. Pure. What an older
// version stored reads, with defaults for what it did not know; members of a newer one are passed
// over.

#include "messages/error.hpp"
#include "messages/host_verdict.hpp"

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

namespace custos::attestation {

/// Largest stored document of evidence: logs in base64url and what goes with them.
inline constexpr std::size_t kept_evidence_bytes_max = 15U << 20U;

std::string encode_record(const host_record& r);
/// errc::corrupted.
result<host_record> decode_record(std::string_view host, std::string_view document);

std::string encode_kept_evidence(const kept_evidence& e);
/// errc::corrupted.
result<kept_evidence> decode_kept_evidence(std::string_view host, std::string_view document);

/// As the API shows a record: the verdict, and what is known of the boot.
boost::json::object json_of(const host_record& r);

} // namespace custos::attestation
