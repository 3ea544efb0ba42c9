#pragma once
// JWS with the content beside it (RFC 7515, appendix F): for files, which stay readable and may be
// larger than a token. Thread rule: free functions, thread-safe. Errors are those of jose.hpp;
// there is one rule more, "jws-detached": the payload must not be in the JWS.

#include "adapters/jose/jose.hpp"

namespace custos::jose {

/// ES256, ES384 or RS256, as the key is; kid is the key's thumbprint. errc::unsupported for others.
result<std::string> sign_detached(const crypto::key& private_key, std::string_view typ,
                                  byte_view content);

/// The key that signed. Keys are known by their thumbprints; the algorithm is that of the key,
/// for RSA keys RS256 or PS256.
result<crypto::key> verify_detached(std::string_view jws, byte_view content,
                                    std::span<const crypto::key> trusted, std::string_view typ);

} // namespace custos::jose
