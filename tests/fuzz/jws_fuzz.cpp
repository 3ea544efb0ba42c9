// Tokens, keys and encrypted keys as strangers send them. The first octet chooses which.

#include "adapters/jose/jose.hpp"

#include <cstdlib>

namespace {

using namespace custos;

void require(bool holds) {
  if (!holds)
    std::abort();
}

const crypto::key& own_key() {
  static const crypto::key key = *crypto::generate_p256();
  return key;
}

void on_jws(std::string_view text) {
  static const std::vector<jose::trusted_key> keys{{"k1", own_key(), "ES256"},
                                                   {"k2", *crypto::generate_rsa(2048), "PS256"}};
  const auto verified = jose::verify_compact(text, keys, "ear+jwt");
  require(!verified); // nobody but us has these keys
  require(verified.failure().check.rfind("jws-", 0) == 0);
}

void on_jwk(std::string_view text) {
  const auto key = jose::key_of_jwk(text);
  if (key)
    require(jose::thumbprint(*key).ok());
}

void on_jwe(std::string_view text) {
  const auto opened = jose::decrypt_ecdh_es_a256kw(own_key(), text);
  require(!opened);
  require(opened.failure().check.rfind("jwe-", 0) == 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const auto rest = as_text(byte_view(data + 1, size - 1));
  switch (data[0] % 3) {
  case 0:
    on_jws(rest);
    break;
  case 1:
    on_jwk(rest);
    break;
  default:
    on_jwe(rest);
    break;
  }
  return 0;
}
