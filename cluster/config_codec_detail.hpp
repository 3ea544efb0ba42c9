#pragma once
// Between the parts of the codec; nobody else includes this.

#include "adapters/crypto/x509.hpp"
#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"

#include <boost/json.hpp>
#include <cstdint>

namespace custos::cluster::detail {

// Limits of settings; lives in seconds, sizes in bytes.
inline constexpr std::int64_t challenge_life_s_min = 5;
inline constexpr std::int64_t challenge_life_s_max = 3600;
inline constexpr std::int64_t token_life_s_min = 60;
inline constexpr std::int64_t token_life_s_max = 7 * 24 * 3600;
inline constexpr std::int64_t ak_certificate_life_s_min = 3600;
inline constexpr std::int64_t ak_certificate_life_s_max = 366 * 24 * 3600;
inline constexpr std::int64_t evidence_bytes_least = 64 << 10;
inline constexpr std::int64_t evidence_bytes_most = 16 << 20;
inline constexpr std::int64_t event_log_bytes_least = 16 << 10;
inline constexpr std::int64_t events_least = 16;
inline constexpr std::int64_t events_most = 65536;
inline constexpr std::int64_t evidence_hosts_most = 262144;
inline constexpr std::size_t check_bytes_max = 32;
inline constexpr std::size_t audit_only_max = 8;
inline constexpr std::size_t tpm_text_bytes_max = 64; // of a TPM's manufacturer, model, firmware
inline constexpr std::size_t serial_hex_max = 64;
inline constexpr std::size_t ak_name_bytes_max = 66; // nameAlg and a SHA-512 digest
inline constexpr std::size_t reason_bytes_max = 512;
inline constexpr std::size_t crl_pem_bytes_max = 1U << 20U;
inline constexpr std::size_t crls_max = 32;
inline constexpr std::size_t path_bytes_max = 4096;
inline constexpr std::size_t ima_files_max = 65536;
inline constexpr std::size_t ima_digests_per_file_max = 64;
inline constexpr std::size_t ima_signers_max = 64;
inline constexpr std::size_t ima_paths_max = 1024;
inline constexpr std::size_t secure_boot_entries_max = 4096;

inline constexpr std::size_t pem_bytes_max = 64U << 10U;
inline constexpr std::size_t version_bytes_max = 128;
inline constexpr std::size_t hint_bytes_max = 512;
inline constexpr std::size_t host_bytes_max = 253; // RFC 1035, 2.3.4, as text
inline constexpr std::size_t key_id_bytes_max = 256;
inline constexpr std::size_t username_bytes_max = 256;
inline constexpr std::int64_t timeout_ms_min = 100;
inline constexpr std::int64_t timeout_ms_max = 60000;
inline constexpr std::size_t host_patterns_max = 64;
inline constexpr std::size_t claim_values_max = 64;
inline constexpr std::int64_t calls_per_second_most = 10000;
inline constexpr std::int64_t burst_most = 100000;
inline constexpr std::int64_t primary_key_age_s_most = 24 * 3600;
inline constexpr std::int64_t grace_s_most = 7 * 24 * 3600;
inline constexpr std::int64_t rotation_interval_days_most = 3650;
inline constexpr std::size_t native_key_id_chars = 32;
inline constexpr std::size_t native_key_bytes = 32; // AES-256
inline constexpr std::int64_t pcrs_in_tpm = 24;     // PC Client Platform TPM Profile 1.05, 4.6

/// Whether a text is an object's name, or (wider at its start) a host's.
bool is_object_name(std::string_view text);
bool is_host_name(std::string_view text);

// ---- what readers share; errors are errc::invalid_argument with the pointer of the member

std::string at(const std::string& path, std::size_t index);
error bad(const std::string& path, std::string_view expected);
/// Exactly one certificate in PEM.
result<crypto::certificate> read_certificate(const std::string& pem, const std::string& path);
result<std::uint32_t> bounded(json::object& o, std::string_view name, std::int64_t min,
                              std::int64_t max, std::uint32_t otherwise);
result<bool> flag(json::object& o, std::string_view name, bool otherwise);
/// Exactly `size` octets in hex.
result<bytes> read_digest(json::object& o, std::string_view name, std::size_t size);
/// The same, where the member may be missing: empty then.
result<bytes> optional_digest(json::object& o, std::string_view name, std::size_t size);
/// The form of a sealed value only: whether it opens is known where it is used.
result<sealed_secret> read_sealed(json::object& o, std::string_view name);

result<tpm_ca> read_tpm_ca(json::object& o);
result<endorsement_key> read_endorsement_key(json::object& o);
result<attestation_settings> read_settings(json::object& o);
result<base_image> read_base_image(json::object& o);
result<key_provider> read_key_provider(json::object& o);
result<principal> read_principal(json::object& o);
result<host_binding> read_host(json::object& o);
result<token_key> read_token_key(json::object& o);
result<denial> read_denial(json::object& o);
result<data_key> read_data_key(json::object& o);

boost::json::object json_of(const tpm_ca& x);
boost::json::object json_of(const endorsement_key& x);
boost::json::object json_of(const attestation_settings& x);
boost::json::object json_of(const base_image& x);
boost::json::object json_of(const key_provider& x);
boost::json::object json_of(const principal& x);
boost::json::object json_of(const host_binding& x);
boost::json::object json_of(const token_key& x);
boost::json::object json_of(const denial& x);
boost::json::object json_of(const data_key& x);

} // namespace custos::cluster::detail
