#pragma once
// The JSON of encrypt and rewrap, both directions (see wire.hpp): the gateway decodes requests and
// encodes answers, the host the reverse. Pure.

#include "messages/error.hpp"
#include "messages/keys.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace custos::gateway {

/// Largest body of a rewrap, in octets: a thousand of the longest ciphertexts that exist (861
/// octets), each with the longest context, take less.
inline constexpr std::size_t rewrap_body_bytes_max = 7U << 20U;

std::string encode_encrypt(std::string_view jwe, byte_view context);
result<encrypt_key> decode_encrypt(std::string_view body);
std::string encode_encrypted(const key_encrypted& k);
result<key_encrypted> decode_encrypted(std::string_view body);

std::string encode_rewrap(const std::vector<rewrap_item>& items);
/// errc::too_large, which says both limits, for more than rewrap_items_max items and for a body of
/// more than rewrap_body_bytes_max.
result<rewrap_keys> decode_rewrap(std::string_view body);
/// An item that failed is {"error": the members of its problem document, "retry_after_s"}.
std::string encode_rewrapped(const keys_rewrapped& k);
result<keys_rewrapped> decode_rewrapped(std::string_view body);

} // namespace custos::gateway
