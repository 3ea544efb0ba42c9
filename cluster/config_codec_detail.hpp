#pragma once
// Between the parts of the codec; nobody else includes this.

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

inline constexpr std::size_t pem_bytes_max = 64U << 10U;
inline constexpr std::size_t version_bytes_max = 128;
inline constexpr std::size_t hint_bytes_max = 512;
inline constexpr std::size_t host_bytes_max = 253; // RFC 1035, 2.3.4, as text
inline constexpr std::size_t key_id_bytes_max = 256;
inline constexpr std::size_t username_bytes_max = 256;
inline constexpr std::int64_t timeout_ms_min = 100;
inline constexpr std::int64_t timeout_ms_max = 60000;
inline constexpr std::int64_t pcrs_in_tpm = 24; // PC Client Platform TPM Profile 1.05, 4.6

/// Whether a text is an object's name, or (wider at its start) a host's.
bool is_object_name(std::string_view text);
bool is_host_name(std::string_view text);

result<tpm_ca> read_tpm_ca(json::object& o);
result<endorsement_key> read_endorsement_key(json::object& o);
result<attestation_settings> read_settings(json::object& o);
result<base_image> read_base_image(json::object& o);
result<key_provider> read_key_provider(json::object& o);
result<principal> read_principal(json::object& o);
result<host_binding> read_host(json::object& o);

boost::json::object json_of(const tpm_ca& x);
boost::json::object json_of(const endorsement_key& x);
boost::json::object json_of(const attestation_settings& x);
boost::json::object json_of(const base_image& x);
boost::json::object json_of(const key_provider& x);
boost::json::object json_of(const principal& x);
boost::json::object json_of(const host_binding& x);

} // namespace custos::cluster::detail
