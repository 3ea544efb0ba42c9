#pragma once
// Commands of the ConfigStore's state machine and what it answers. Objects travel as JSON
// documents; the state machine validates them (cluster/config_codec).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos {

/// Kinds of configuration objects; the numbers are stored, append only.
enum class object_kind : std::uint8_t {
  tpm_ca = 1,
  endorsement_key,
  base_image,
  settings, ///< one object, named "settings"
  key_provider,
  principal,
  host, ///< host bindings: not in the fingerprint
  token_key,
  denial,
  data_key, ///< made and removed by the cluster itself, by no principal
};
inline constexpr object_kind last_object_kind = object_kind::data_key;

/// As in API paths: "tpm-cas", "endorsement-keys", "base-images", "settings", "key-providers",
/// "principals", "hosts", "token-keys", "denials", "data-keys".
std::string_view to_string(object_kind kind);
std::optional<object_kind> object_kind_of(std::string_view text);

/// Names of objects other than hosts: 1-128 characters of A-Z a-z 0-9 . _ -, the first a letter or
/// digit. Safe in a path of a URL.
bool is_object_name(std::string_view text);
/// Host ids: the same characters, and the first may be any of them but a dot.
bool is_host_name(std::string_view text);

enum class config_action : std::uint8_t { put = 1, create, erase };

struct config_command {
  std::string operation_id; ///< a repeated id is answered with the first outcome; may be empty
  config_action action = config_action::put;
  object_kind kind = object_kind::tpm_ca;
  std::string name;
  std::string document;                     ///< JSON object; empty for erase
  std::optional<std::uint64_t> if_revision; ///< the store's revision must be this one
  std::string actor;                        ///< who asked, for the audit log
};

struct config_applied {
  std::uint64_t revision = 0;
  std::string fingerprint;
  bool changed = false;
};

struct get_config_status {};
struct config_status {
  std::uint64_t revision = 0;
  std::string fingerprint;
  std::string cluster_id;
  std::string node;
};

/// Reads one object, or all of a kind, as documents (canonical JSON; sealed fields stay sealed).
struct get_config_object {
  object_kind kind = object_kind::tpm_ca;
  std::string name;
};
struct list_config_objects {
  object_kind kind = object_kind::tpm_ca;
};
struct config_document {
  std::string name;
  std::string document;
  std::uint64_t revision = 0; ///< of the store when it was read
};
struct config_documents {
  std::vector<config_document> objects; ///< by name
  std::uint64_t revision = 0;           ///< of the store when they were read
};

/// What a new token signing key (token-keys/{kid}) shall be. Times in unix seconds and seconds;
/// what is left out has a default (actors/attestation/token_keyring.hpp).
struct token_key_wish {
  std::string algorithm = "ES256";            ///< or "ES384", "PS256", "RS256"
  std::optional<std::int64_t> signs_from;     ///< from now on
  std::optional<std::int64_t> signs_for_s;    ///< from then on
  std::optional<std::int64_t> verifies_for_s; ///< after that; at least the life of a token
};

} // namespace custos
