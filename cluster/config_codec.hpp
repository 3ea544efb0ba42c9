#pragma once
// Configuration objects as JSON documents, as the API takes and gives them, and as typed objects.
// Pure. Reading refuses what is unknown, missing, too large or contradicts itself, and names the
// field by JSON pointer. Writing gives the canonical form (RFC 8785): equal objects, equal bytes.
//
// Field names are snake_case; digests are hex, other octets base64url without padding, certificates
// and public keys PEM. A document may repeat its object's "name"; it must then be the same. The
// accepted members of each kind are listed by fields_of().

#include "messages/config.hpp"
#include "messages/config_commands.hpp"
#include "messages/error.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace custos::cluster {

/// Largest document of one object.
inline constexpr std::size_t config_document_bytes_max = 8U << 20U;
inline constexpr std::size_t certificates_per_object_max = 32;
inline constexpr std::size_t values_per_pcr_max = 1024;
inline constexpr std::size_t events_per_pcr_max = 16384;
inline constexpr std::size_t servers_per_provider_max = 16;
inline constexpr std::size_t access_entries_max = 4096;
/// Primary keys of a native provider, those kept for old ciphertexts included.
inline constexpr std::size_t native_keys_max = 64;
inline constexpr std::size_t sealed_bytes_max = 16U << 10U;
/// Nodes a data key is encrypted for at most, and characters of one such JWE.
inline constexpr std::size_t data_key_recipients_max = 64;
inline constexpr std::size_t data_key_jwe_bytes_max = 1024;

/// The name of the one settings object.
inline constexpr std::string_view settings_name = "settings";

/// A typed object; the kind follows from the alternative.
using config_object =
    std::variant<tpm_ca, endorsement_key, base_image, attestation_settings, key_provider, principal,
                 host_binding, token_key, denial, data_key>;

object_kind kind_of(const config_object& object);

/// 1-128 characters of [A-Za-z0-9._-], the first a letter or digit; the settings object is named
/// "settings". errc::invalid_argument, field "name".
result<void> check_object_name(object_kind kind, std::string_view name);

/// Reads and validates one document. errc::malformed (no JSON object), errc::too_large,
/// errc::invalid_argument (with field).
result<config_object> read_object(object_kind kind, std::string_view name,
                                  std::string_view document);

/// The canonical document of an object (without its name).
std::string write_object(const config_object& object);

/// One accepted member of the documents of a kind.
struct field_description {
  std::string_view path;     ///< "/servers/*/port"
  std::string_view expected; ///< "integer, 1-65535"
  bool required = false;
};
const std::vector<field_description>& fields_of(object_kind kind);

} // namespace custos::cluster
