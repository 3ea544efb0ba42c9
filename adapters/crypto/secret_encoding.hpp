#pragma once
// Text forms of secrets that leave no copy behind: the text is as secret as what it spells. Same
// strictness and errors (errc::malformed) as the functions of crypto.hpp. Thread-safe.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/error.hpp"

namespace custos::crypto {

secret_bytes base64url_of(const secret_bytes& data); ///< no padding (RFC 4648, 5)
secret_bytes base64_of(const secret_bytes& data);    ///< with padding (RFC 4648, 4)
secret_bytes hex_of(const secret_bytes& data);       ///< lower case

result<secret_bytes> secret_from_base64url(const secret_bytes& text);
result<secret_bytes> secret_from_base64(const secret_bytes& text);
result<secret_bytes> secret_from_hex(const secret_bytes& text);

} // namespace custos::crypto
