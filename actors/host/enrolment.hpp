#pragma once
// The certificate of the attestation key, kept in the host's store: a restart needs no new
// enrolment. It is no secret: without the TPM it is of no use. Pure.

#include "adapters/rocksdb/kv_store.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace custos::host {

struct enrolment {
  bytes certificate;           ///< DER
  bytes ak_name;               ///< of the key it is for
  std::string authority;       ///< who issued it, see authority_of
  std::int64_t not_before = 0; ///< unix seconds, as in the certificate
  std::int64_t not_after = 0;
};

/// A certificate as it came. errc::malformed.
result<enrolment> read_enrolment(bytes certificate, bytes ak_name, std::string authority);

/// Names a trust authority: by the anchors of its nodes (PEM) and by whom they know this host as.
std::string authority_of(const std::string& trusted_ca, const std::string& host);

/// When to enrol again: at 3/4 of the certificate's life, less up to a tenth of it by `jitter`.
std::int64_t renew_at(const enrolment& e, std::uint8_t jitter);

/// Nothing: none is kept, or what is kept does not read, which a new enrolment mends.
std::optional<enrolment> load_enrolment(const rocksdb::kv_store& store);
result<void> save_enrolment(rocksdb::kv_store& store, const enrolment& e);
result<void> erase_enrolment(rocksdb::kv_store& store);

} // namespace custos::host
