#include "actors/host/transport.hpp"

#include "actors/gateway/wire.hpp"
#include "adapters/jose/jose.hpp"

namespace custos::host {

namespace {

constexpr std::int64_t certificate_life_s = 400LL * 24 * 3600;
constexpr std::int64_t clock_skew_s = 300;

} // namespace

result<http::tls_identity> make_transport_identity(const host_id& host, std::int64_t now) {
  CUSTOS_TRY(const auto key, crypto::generate_p256());
  crypto::certificate_request r;
  r.common_name = host;
  r.client_auth = true;
  r.not_before = now - clock_skew_s;
  r.not_after = now + certificate_life_s;
  CUSTOS_TRY(const auto certificate, crypto::issue_certificate(r, key, key, nullptr));
  return http::tls_identity{certificate.pem(), key};
}

result<key_ready> open_released(const crypto::key& transport, std::string_view body) {
  CUSTOS_TRY(auto released, gateway::decode_released(body));
  CUSTOS_TRY(auto key, jose::decrypt_ecdh_es_a256kw(transport, released.jwe));
  return key_ready{std::make_shared<const crypto::secret_bytes>(std::move(key)),
                   std::move(released.ciphertext)};
}

} // namespace custos::host
