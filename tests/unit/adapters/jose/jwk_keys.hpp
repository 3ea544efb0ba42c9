#pragma once
// Private keys of public test vectors: production code never reads one from a JWK.

#include "tests/unit/adapters/crypto/vectors.hpp"

#include <array>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace custos::test {

/// The private key of an EC JWK on P-256 or P-384.
inline crypto::key private_ec_key_of(const boost::json::object& jwk) {
  const auto d = base64url_of(jwk, "d");
  bytes point{0x04};
  for (const auto* const name : {"x", "y"}) {
    const auto coordinate = base64url_of(jwk, name);
    point.insert(point.end(), coordinate.begin(), coordinate.end());
  }
  const auto curve = text_of(jwk, "crv");
  BIGNUM* const number = BN_bin2bn(d.data(), static_cast<int>(d.size()), nullptr);
  OSSL_PARAM_BLD* const builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve.c_str(), 0);
  OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number);
  OSSL_PARAM* const params = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* const context = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* key = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params), 1);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  BN_free(number);
  return crypto::key(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free));
}

} // namespace custos::test
