#include "actors/keyprovider/token_reader.hpp"

#include "actors/attestation/token.hpp"

#include <utility>

namespace custos::keyprovider {

token_check tokens_of(std::string issuer, token_keys keys) {
  return [issuer = std::move(issuer),
          keys = std::move(keys)](std::string_view token, std::int64_t now) -> result<token_facts> {
    const attestation::token_expectation expected{keys(now), issuer, attestation::key_audience};
    CUSTOS_TRY(auto claims, attestation::read_token(token, expected, now));
    token_facts facts;
    facts.host = std::move(claims.host);
    facts.key_thumbprint = claims.key_thumbprint;
    facts.ek_spki_sha256 = claims.ek_spki_sha256;
    facts.image = std::move(claims.image);
    facts.image_version = std::move(claims.image_version);
    facts.expires = claims.expires;
    facts.issued = claims.issued;
    facts.ak_name = std::move(claims.ak_name);
    facts.reset_count = claims.reset_count;
    facts.restart_count = claims.restart_count;
    facts.secure_boot = claims.secure_boot;
    facts.ima = claims.ima_entries.has_value();
    facts.warning = !claims.findings.empty();
    return facts;
  };
}

} // namespace custos::keyprovider
