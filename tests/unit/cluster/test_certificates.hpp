#pragma once
// Certificates made for the tests of cluster/.

#include "adapters/crypto/x509.hpp"

#include <string>

namespace custos::cluster::test {

inline constexpr crypto::unix_seconds now = 1'750'000'000;

struct made {
  crypto::key key;
  crypto::certificate cert;
};

inline made self_signed(const std::string& name, bool is_ca) {
  made out;
  out.key = crypto::generate_p256().value();
  crypto::certificate_request request;
  request.common_name = name;
  request.is_ca = is_ca;
  request.not_before = now - 60;
  request.not_after = now + 3600;
  out.cert = crypto::issue_certificate(request, out.key, out.key, nullptr).value();
  return out;
}

/// Within a JSON string.
inline std::string json_text(const std::string& pem) {
  std::string out = "\"";
  for (const char c : pem)
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out + "\"";
}

} // namespace custos::cluster::test
