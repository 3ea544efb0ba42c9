#pragma once
// The JSON of the node API that hosts speak, both directions in one place so that they cannot
// drift: the gateway decodes requests and encodes answers, the host the reverse. Octets are
// base64url without padding, digests hexadecimal. Pure.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/attestation.hpp"
#include "messages/error.hpp"
#include "messages/keys.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace custos::gateway {

// ---- requests: encoded by the host, decoded by the node

std::string encode_attestation_key_request(const attestation_key_request& r);
result<attestation_key_request> decode_attestation_key_request(std::string_view body);

/// The transport key travels as a JWK.
result<std::string> encode_evidence(const evidence& e);
result<evidence> decode_evidence(std::string_view body);

std::string encode_generate(std::uint32_t key_bytes, byte_view context);
result<generate_key> decode_generate(std::string_view body);
std::string encode_decrypt(byte_view ciphertext, byte_view context);
result<decrypt_key> decode_decrypt(std::string_view body);

// ---- answers: encoded by the node, decoded by the host

std::string encode_challenge(const challenge& c);
result<challenge> decode_challenge(std::string_view body);
std::string encode_attestation_key_issued(const attestation_key_issued& i);
result<attestation_key_issued> decode_attestation_key_issued(std::string_view body);
std::string encode_attestation_granted(const attestation_granted& g);
result<attestation_granted> decode_attestation_granted(std::string_view body);
std::string encode_generated(const key_released& r);
std::string encode_decrypted(const key_released& r);
/// Of either answer; the ciphertext is empty in that of decrypt.
result<key_released> decode_released(std::string_view body);
std::string encode_providers(const std::vector<provider_status>& list);
result<std::vector<provider_status>> decode_providers(std::string_view body);

} // namespace custos::gateway
