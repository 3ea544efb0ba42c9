// Tokens, keys and encrypted keys as strangers send them, and claims as the reader behind the
// signature sees them. The first octet chooses which.

#include "actors/attestation/token.hpp"
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

/// Claims as the holder of a signing key could make them: the reader behind the signature.
void on_claims(std::string_view text) {
  static const auto by = *attestation::make_token_signer(own_key(), "ES256", "k1");
  static const std::vector<jose::trusted_key> keys{{"k1", own_key(), "ES256"}};
  constexpr std::int64_t now = 1'800'000'000;
  const auto jws = jose::sign(by, text);
  if (!jws)
    return;
  const auto claims = attestation::read_token(*jws, {keys, "https://trust.example"}, now);
  require(claims || claims.failure().code == errc::token_invalid);
  if (claims) {
    require(claims->audience == attestation::key_audience && claims->expires > now);
    // What was read can be written, and reads the same again where it decides anything.
    const auto again = attestation::make_token(*claims, by, ear_spelling::both);
    if (!again)
      return;
    const auto back = attestation::read_token(*again, {keys, "https://trust.example"}, now);
    require(back && back->image_version == claims->image_version &&
            back->ak_name == claims->ak_name && back->secure_boot == claims->secure_boot);
  }
}

void on_jwks(std::string_view text) {
  const auto keys = jose::trusted_of_jwks(text);
  if (keys)
    for (const auto& k : *keys)
      require(jose::fits(k.alg, k.key.type()) && jose::thumbprint(k.key).ok());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const auto rest = as_text(byte_view(data + 1, size - 1));
  switch (data[0] % 5) {
  case 0:
    on_jws(rest);
    break;
  case 1:
    on_jwk(rest);
    break;
  case 3:
    on_claims(rest);
    break;
  case 4:
    on_jwks(rest);
    break;
  default:
    on_jwe(rest);
    break;
  }
  return 0;
}
