// Routes of the node API that release and wrap keys. Who asks is judged by the gate of the Key
// Provider Service, which gets the bearer token and the key of the TLS connection as they are.

#include "actors/gateway/key_wire.hpp"
#include "actors/gateway/node_api.hpp"
#include "actors/gateway/wire.hpp"

#include <strings.h>

namespace custos::gateway {

namespace {

constexpr std::size_t bearer_bytes_max = 16384;

http::response text_answer(std::string body) {
  http::response r;
  r.body = std::move(body);
  return r;
}

/// Turns an answer of the service into a response with the encoder, an error into a problem.
template <class T, class Encode>
callback<T> answer_with(const http::responder& respond, Encode encode) {
  return [respond, encode = std::move(encode)](result<T> r) {
    if (!r)
      respond(http::problem(r.failure()));
    else
      respond(encode(*r));
  };
}

/// "Authorization: Bearer <token>" (RFC 6750, 2.1) and the TLS key of the connection. The name of
/// the scheme has no case (RFC 9110, 11.1).
key_caller caller_of(const http::request& request) {
  key_caller caller;
  constexpr std::string_view scheme = "Bearer ";
  const auto value = request.header_value("Authorization");
  const bool bearer = value.size() > scheme.size() && value.size() <= bearer_bytes_max &&
                      strncasecmp(value.data(), scheme.data(), scheme.size()) == 0;
  if (bearer)
    caller.token = value.substr(scheme.size());
  if (request.peer)
    caller.tls_client_spki = request.peer.spki_der();
  caller.remote = request.remote;
  return caller;
}

} // namespace

void node_api::add_key_routes() {
  add("GET", "/keys/v1/providers", access::open, "The providers that the bearer's token may use",
      [this](routed_request&& r, const http::responder& respond) {
        ports_.providers(list_providers{caller_of(r.request)},
                         answer_with<std::vector<provider_status>>(respond, [](const auto& list) {
                           return text_answer(encode_providers(list));
                         }));
      });
  add("POST", "/keys/v1/providers/{provider}/generate", access::open,
      "A fresh key: its ciphertext, and the key as a JWE to the token's transport key",
      [this](routed_request&& r, const http::responder& respond) {
        auto request = decode_generate(r.request.body);
        if (!request)
          return respond(http::problem(request.failure()));
        request->caller = caller_of(r.request);
        request->provider = r.path.at("provider");
        ports_.generate(*std::move(request),
                        answer_with<key_released>(respond, [](const auto& released) {
                          return text_answer(encode_generated(released));
                        }));
      });
  add("POST", "/keys/v1/providers/{provider}/decrypt", access::open,
      "The key of a ciphertext, as a JWE to the token's transport key",
      [this](routed_request&& r, const http::responder& respond) {
        auto request = decode_decrypt(r.request.body);
        if (!request)
          return respond(http::problem(request.failure()));
        request->caller = caller_of(r.request);
        request->provider = r.path.at("provider");
        ports_.decrypt(*std::move(request),
                       answer_with<key_released>(respond, [](const auto& released) {
                         return text_answer(encode_decrypted(released));
                       }));
      });
}

void node_api::add_many_keys_routes() {
  add("POST", "/keys/v1/providers/{provider}/encrypt", access::open,
      "The ciphertext of a key of the host's own, which comes as a JWE to the encryption key",
      [this](routed_request&& r, const http::responder& respond) {
        auto request = decode_encrypt(r.request.body);
        if (!request)
          return respond(http::problem(request.failure()));
        request->caller = caller_of(r.request);
        request->provider = r.path.at("provider");
        ports_.encrypt(*std::move(request),
                       answer_with<key_encrypted>(respond, [](const auto& encrypted) {
                         return text_answer(encode_encrypted(encrypted));
                       }));
      });
  add("POST", "/keys/v1/providers/{provider}/rewrap", access::open,
      "Up to 1,000 ciphertexts, each brought under the present primary key",
      [this](routed_request&& r, const http::responder& respond) {
        auto request = decode_rewrap(r.request.body);
        if (!request)
          return respond(http::problem(request.failure()));
        request->caller = caller_of(r.request);
        request->provider = r.path.at("provider");
        ports_.rewrap(*std::move(request),
                      answer_with<keys_rewrapped>(respond, [](const auto& rewrapped) {
                        return text_answer(encode_rewrapped(rewrapped));
                      }));
      });
  add("GET", "/keys/v1/encryption-key", access::open,
      "The key that hosts encrypt key material of their own to (RFC 7517)",
      [this](routed_request&&, const http::responder& respond) {
        auto jwk = ports_.encryption_key();
        respond(jwk ? text_answer(*std::move(jwk)) : http::problem(jwk.failure()));
      });
}

void node_api::add_key_use_routes() {
  add("GET", "/keys/v1/admin/providers/{provider}/uses", access::auditor,
      "How often each primary key was needed on this node, and when last",
      [this](routed_request&& r, const http::responder& respond) {
        auto uses = ports_.provider_uses(r.path.at("provider"));
        respond(uses ? text_answer(*std::move(uses)) : http::problem(uses.failure()));
      });
}

} // namespace custos::gateway
