#pragma once
// What a node knows of the hosts that attest to it: the last verdict, and what was judged. Local to
// the node; never secret.

#include "messages/attestation.hpp"
#include "messages/bytes.hpp"
#include "messages/config_commands.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace custos {

/// A check that said no, but was not enforced (settings: audit_only).
struct audit_finding {
  std::string check; ///< "secure-boot"
  std::string message;
  friend bool operator==(const audit_finding&, const audit_finding&) = default;
};

/// The last word on a host.
struct host_verdict {
  std::int64_t at = 0; ///< unix seconds
  bool accepted = false;
  std::string check; ///< that said no, or the name of the error; empty if accepted
  std::string message;
  std::optional<std::uint32_t> pcr;
  std::optional<std::uint32_t> event;
  bool retryable = false;
  /// The host's key had signed what was judged: the verdict is about the host, not about somebody
  /// who uses its name.
  bool authentic = false;
  std::string image; ///< that matched; empty if none
  std::string image_version;
  std::vector<audit_finding> findings;
  /// Images that are only watched, and whether this boot matches them.
  std::vector<std::pair<std::string, bool>> watched_images;
};

/// Everything kept of a host in memory. Beside it, on disk, its last evidence.
struct host_record {
  host_id host;
  bytes ak_name;
  std::uint64_t clock = 0;         ///< TPMS_CLOCK_INFO of the newest quote of this AK
  std::uint32_t reset_count = 0;   ///< the counts are obfuscated per key: compare, never show as
  std::uint32_t restart_count = 0; ///< numbers of reboots
  std::int64_t first_seen_in_boot = 0; ///< when the first quote of the present boot came
  std::int64_t last_attested = 0;      ///< 0: never
  /// Since when the host is known to be in a state that is not accepted; 0: it is not.
  std::int64_t failed_since = 0;
  host_verdict last;
  bytes evidence_sha256; ///< of what is kept on disk; empty: nothing
};

/// A page of records, by host id, after this one.
struct list_host_records {
  host_id after;
  std::uint32_t hosts_max = 100;
};

/// Asks for a document (JSON): the kept evidence of a host against every image.
struct explain_host {
  host_id host;
};
/// Judges the kept evidence of all hosts, now and with these changes.
struct simulate_changes {
  std::vector<config_command> changes;
};
/// What is known of a host is to go: its binding was erased.
struct forget_host {
  host_id host;
};
struct json_document {
  std::string text;
};

/// What was judged of a host, for explaining and simulating: values that its quote vouched for.
struct kept_evidence {
  host_id host;
  std::int64_t at = 0;
  bytes ak_certificate;
  std::vector<pcr_value> pcrs;
  bytes event_log;
  bytes ima_log; ///< whole, or empty
  std::uint32_t reset_count = 0;
};
/// A record that changed, and the evidence if that is new. To the keeper of records.
struct host_record_changed {
  host_id host;
  std::shared_ptr<const kept_evidence> evidence; ///< may be null
};

} // namespace custos
