#include "actors/keyprovider/administration.hpp"

#include <algorithm>

namespace custos::keyprovider {

namespace {

constexpr std::uint32_t operation_encrypt = 0x1F; // KMIP 1.2, 9.1.3.2.27
constexpr std::uint32_t operation_decrypt = 0x20;
constexpr std::size_t common_name_chars_max = 64; // RFC 5280, A.1: ub-common-name
constexpr std::int64_t clock_tolerance_s = 300;

} // namespace

std::string client_private_key_label(std::string_view provider) {
  return "key-provider/" + std::string(provider) + "/client-private-key";
}

result<client_certificate_made> make_client_key(const make_client_certificate& call,
                                                const seal_function& seal, std::int64_t now,
                                                std::uint32_t life_s) {
  CUSTOS_TRY(const auto key, crypto::generate_p256());
  CUSTOS_TRY(auto sealed, seal(key.pkcs8_der(), client_private_key_label(call.provider)));
  crypto::certificate_request request;
  request.common_name = ("custos-" + call.provider).substr(0, common_name_chars_max);
  request.client_auth = true;
  request.not_before = now - clock_tolerance_s;
  request.not_after = now + std::int64_t{life_s};
  client_certificate_made made;
  made.sealed_private_key = std::move(sealed.sealed);
  if (call.csr) {
    CUSTOS_TRY(made.pem, crypto::make_csr_pem(request, key));
    return made;
  }
  CUSTOS_TRY(const auto certificate, crypto::issue_certificate(request, key, key, nullptr));
  made.pem = certificate.pem();
  return made;
}

bool can_encrypt(const kmip::capabilities& server) {
  const auto has = [&server](std::uint32_t operation) {
    return std::find(server.operations.begin(), server.operations.end(), operation) !=
           server.operations.end();
  };
  return server.at_least(1, 2) && has(operation_encrypt) && has(operation_decrypt);
}

std::string health_of(const std::vector<key_server_status>& servers, std::string_view key_state) {
  const auto healthy = static_cast<std::size_t>(std::count_if(
      servers.begin(), servers.end(), [](const auto& s) { return s.health == "ok"; }));
  if (healthy == 0)
    return "error";
  if (key_state != "Active" && key_state != "Deactivated" && key_state != "Compromised")
    return "error";
  return healthy == servers.size() && key_state == "Active" ? "ok" : "warning";
}

} // namespace custos::keyprovider
