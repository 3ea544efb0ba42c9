#pragma once
// Ciphertexts for tests of the host: well-formed, of any provider, primary key and context.

#include "actors/keyprovider/ciphertext.hpp"

#include <string>
#include <string_view>

namespace custos::host::test {

inline bytes make_ciphertext(const std::string& provider, const std::string& primary_key_id,
                             std::string_view context = {}) {
  keyprovider::ciphertext_identity id;
  id.provider = provider;
  id.primary_key_id = primary_key_id;
  const auto nonce = crypto::random_bytes(id.nonce.size());
  std::copy(nonce.begin(), nonce.end(), id.nonce.begin());
  id.context_hash = crypto::sha256(as_bytes(context));
  const crypto::secret_bytes fresh(crypto::random_bytes(32));
  const crypto::secret_bytes key(crypto::random_bytes(32));
  return keyprovider::seal_key(id, {{}, crypto::random_bytes(40), {}}, fresh, as_bytes(context),
                               key)
      .value();
}

inline std::string text_of(const bytes& b) {
  return std::string(as_text(b));
}

} // namespace custos::host::test
