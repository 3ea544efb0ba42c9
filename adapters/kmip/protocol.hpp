#pragma once
// Requests and responses of KMIP 1.0 to 1.4, 2.0 and 2.1: the operations Custos uses, one a message
// or several independent ones in a batch. Pure: octets in, octets out. Sent are Protocol Version,
// Maximum Response Size, Authentication (if there is a user name), Batch Count, the Batch Items;
// never a Time Stamp (servers refuse a clock that differs), nothing asynchronous, no Message
// Extension. What 2.x does otherwise (KMIP 2.0, 4 and 6): attributes stand under their own tags in
// an Attributes structure, where 1.x has name and value, and are asked for by Attribute Reference.

#include "adapters/crypto/wiped_bytes.hpp"
#include "adapters/kmip/ttlv.hpp"
#include "messages/kmip.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace custos::kmip {

struct protocol_version {
  std::uint32_t major = 1;
  std::uint32_t minor = 1;
  friend auto operator<=>(const protocol_version&, const protocol_version&) = default;
};
/// "1.4"
std::string to_string(protocol_version v);

/// What we speak, best first.
inline constexpr std::array<protocol_version, 7> our_versions = {
    protocol_version{2, 1}, protocol_version{2, 0}, protocol_version{1, 4}, protocol_version{1, 3},
    protocol_version{1, 2}, protocol_version{1, 1}, protocol_version{1, 0}};

/// Unique Identifier and Name, octets: what other clients and servers stay within.
inline constexpr std::size_t identifier_bytes_max = 255;
/// Result Message and Server Information are cut to this before they reach a log or a person.
inline constexpr std::size_t server_text_bytes_max = 200;
/// Protocol versions, operations and located objects a server may list.
inline constexpr std::size_t listed_max = 256;
/// Requests in one message.
inline constexpr std::size_t batch_items_max = 32;
/// Maximum Items of a Locate: enough to see that a name is not unique.
inline constexpr std::int32_t located_max = 16;
/// GCM: IV as we ask for it, tag as we demand it (NIST SP 800-38D, 5.2.1).
inline constexpr std::int32_t gcm_iv_bits = 96;
inline constexpr std::int32_t gcm_tag_bytes = 16;

// ---- requests; the operations of messages/kmip.hpp stand for themselves -------------------------

struct discover_versions {
  std::vector<protocol_version> versions{our_versions.begin(), our_versions.end()};
};
struct query {}; ///< Operations and Server Information
/// Get Attributes of exactly the attribute State.
using get_state = get_key_state;
/// Get Attributes: State, Object Type, Cryptographic Algorithm, Length and Usage Mask.
using get_attributes = get_key_attributes;
/// Locate: Symmetric Keys of exactly this Name, at most located_max.
using locate = find_keys;
/// Create an AES key for Encrypt and Decrypt. Not activated.
struct create_symmetric_key {
  std::string name; ///< Name attribute; empty: none
  std::uint32_t length_bits = 256;
  std::uint32_t usage_mask = usage_encrypt | usage_decrypt;
};
/// Register an AES key of ours (16, 24 or 32 octets), Raw. Not activated.
struct register_symmetric_key {
  std::string name; ///< as of create_symmetric_key
  crypto::secret_ptr key;
  std::uint32_t usage_mask = usage_encrypt | usage_decrypt;
};
/// A new key in the place of that one, with its attributes; the Name moves to the new key.
struct re_key {
  std::string unique_identifier;
};
struct activate {
  std::string unique_identifier;
};
struct revoke {
  std::string unique_identifier;
  revocation_reason reason = revocation_reason::unspecified;
  std::string message; ///< for people; empty: none
  /// Seconds since 1970: Compromise Occurrence Date, sent with the reasons that are compromises,
  /// which need it (KMIP 1.4, 4.21).
  std::int64_t compromised_since = 0;
};
struct destroy {
  std::string unique_identifier;
};

/// encrypt_data: the server chooses the IV (Random IV). decrypt_data: GCM needs 1.4, CBC 1.2.
using request = std::variant<discover_versions, query, get_key, get_state, create_symmetric_key,
                             activate, encrypt_data, decrypt_data, locate, get_attributes,
                             register_symmetric_key, re_key, revoke, destroy>;

operation operation_of(const request& r);
/// Sending it twice does no more than sending it once: everything but what makes a key (Create,
/// Register, Re-key) or changes its state (Activate, Revoke, Destroy). After a doubt about one that
/// made a key with a Name of its own: Locate.
bool is_idempotent(const request& r);

// ---- answers ------------------------------------------------------------------------------------

struct versions_supported {
  std::vector<protocol_version> versions; ///< as the server ordered them
};
struct query_answer {
  std::vector<std::uint32_t> operations;
  std::string server_information; ///< Vendor Identification if that is all there is; printable
};
struct activated {
  std::string unique_identifier;
};
struct revoked {
  std::string unique_identifier;
};
struct destroyed {
  std::string unique_identifier;
};

/// key_created: to Create, Register and Re-key.
using answer =
    std::variant<versions_supported, query_answer, key_material, key_state, key_created, activated,
                 encrypted_data, decrypted_data, keys_found, key_attributes, revoked, destroyed>;

// ---- messages -----------------------------------------------------------------------------------

using batch_item_id = std::array<std::uint8_t, 8>;

struct message_options {
  protocol_version version;
  std::optional<batch_item_id> id; ///< random, fresh for every request; none: no ID is sent
  ttlv_limits limits;              ///< limits.message_bytes is announced as Maximum Response Size
  std::string username;
  crypto::secret_ptr password;
};

/// Errors: unsupported (the version has no such operation), invalid_argument (an identifier or
/// name that is empty, too long, or no UTF-8; a key that is no AES key), too_large (the message).
result<crypto::wiped_bytes> build_request(const request& r, const message_options& options);

struct response {
  result<answer> outcome;
  /// Result Reason of a failure; none for errors found here.
  result_reason reason = result_reason::none;
  /// What came cannot be the answer, or the server did not understand the request: whatever
  /// follows on this connection is not to be trusted.
  bool close = false;
};

/// Reads the answer to `r`, sent with `options`. Checked: framing, versions, Batch Count,
/// Operation, Unique Batch Item ID, Unique Identifier, the form of the payload, and for keys that
/// their length is the Cryptographic Length. Unknown fields are skipped, the same field twice is
/// refused. Failures of the server map so (`check` = "kmip-" + reason in lower case with hyphens):
///   Item Not Found, Object Not Found, Object Destroyed            not_found
///   Operation, Feature or Version Not Supported, Key Format ...   unsupported
///   Object Already Exists, Non Unique Name Attribute              already_exists
///   Response Too Large                                            too_large
///   Cryptographic Failure, Internal Server Error, General Failure,
///   Server Limit Exceeded                                         kmip_failure, retryable
///   all else, Operation Pending too                               kmip_failure
response parse_response(const request& r, const message_options& options, byte_view message);

// ---- batches ------------------------------------------------------------------------------------

/// Several requests that do not depend on each other in one message (KMIP 1.4, 6.15): with the
/// Batch Error Continuation Option Continue, so that one that fails leaves the others alone.
/// `ids` are distinct, one a request; options.id is not used. At least one request, at most
/// batch_items_max. Errors as of build_request, of the first request that has one.
result<crypto::wiped_bytes> build_batch(std::span<const request> requests,
                                        std::span<const batch_item_id> ids,
                                        const message_options& options);

struct batch_response {
  /// One a request, in their order, whatever the server's; empty if there is a fault.
  std::vector<response> responses;
  /// The message is no answer to the batch: not readable, an answer missing or of another, or the
  /// server could not read the batch. What became of the requests is not known; close.
  std::optional<error> fault;
};
batch_response parse_batch(std::span<const request> requests, std::span<const batch_item_id> ids,
                           const message_options& options, byte_view message);

/// Printable ASCII; everything else becomes '?'; at most server_text_bytes_max.
std::string printable(std::string_view text);

} // namespace custos::kmip
