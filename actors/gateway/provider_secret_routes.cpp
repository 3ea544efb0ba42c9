// What a node seals, makes or judges for the objects of key providers: nothing here is stored, and
// nothing secret is answered in clear.

#include "actors/gateway/node_api.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::gateway {

namespace {

namespace bj = boost::json;

constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t password_bytes_max = 4096;
constexpr std::size_t pem_bytes_max = 65536;
constexpr std::size_t sealed_key_bytes_max = 16384;
constexpr std::size_t sealed_keys_max = 4;
const std::string base = "/keys/v1/admin/providers/{provider}";

http::response json_answer(const bj::value& body, unsigned status = 200) {
  http::response r;
  r.status = status;
  r.body = bj::serialize(body);
  return r;
}

struct match_question {
  std::string certificate;
  std::vector<bytes> sealed_keys;
};

result<match_question> match_question_of(const std::string& body) {
  match_question out;
  CUSTOS_TRY(auto o, json::parse_object(body, body_bytes_max));
  CUSTOS_TRY(out.certificate, o.string("certificate", pem_bytes_max));
  CUSTOS_TRY(const auto items, o.array("sealed_client_private_keys", sealed_keys_max));
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(const auto text, items[i].as_string(sealed_key_bytes_max));
    auto sealed = crypto::from_base64url(text);
    if (!sealed)
      return field_error(errc::invalid_argument,
                         o.path() + "/sealed_client_private_keys/" + std::to_string(i),
                         "expected base64url: " + sealed.failure().message);
    out.sealed_keys.push_back(*std::move(sealed));
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

result<crypto::secret_bytes> password_of(std::string& body) {
  auto o = json::parse_object(body, body_bytes_max);
  // Whether it parses or not: what was sent here is a password.
  crypto::wipe(body.data(), body.size());
  if (!o)
    return o.failure();
  CUSTOS_TRY(auto password, o->secret_string("password", password_bytes_max));
  CUSTOS_CHECK(o->finish());
  return password;
}

} // namespace

void node_api::add_provider_secret_routes() {
  add("POST", base + "/native-key", access::administrator,
      "Makes a primary key for a native provider; it is answered sealed",
      [this](routed_request&& r, const http::responder& respond) {
        const auto& provider = r.path.at("provider");
        const auto made = is_object_name(provider) ? ports_.new_native_key(provider)
                                                   : field_error(errc::invalid_argument, "provider",
                                                                 "expected the name of a provider");
        ports_.audit({r.principal, r.request.remote, "provider.make_native_key", provider,
                      made ? "ok" : std::string(to_string(made.failure().code)),
                      made ? "primary-key=" + made->id : made.failure().message});
        if (!made)
          return respond(http::problem(made.failure()));
        respond(json_answer(bj::object{{"id", made->id},
                                       {"sealed_key", crypto::base64url(made->key.sealed)},
                                       {"created", made->created}},
                            201));
      });
  add("POST", base + "/match-private-key", access::administrator,
      "Which of several sealed private keys a client certificate is for",
      [this](routed_request&& r, const http::responder& respond) {
        const auto asked = match_question_of(r.request.body);
        if (!asked)
          return respond(http::problem(asked.failure()));
        const auto found =
            ports_.match_private_key(r.path.at("provider"), asked->certificate, asked->sealed_keys);
        if (!found)
          return respond(http::problem(found.failure()));
        respond(json_answer(bj::object{{"index", *found}}));
      });
  add("POST", base + "/seal-password", access::administrator,
      "Seals the password of a provider's user at its key servers",
      [this](routed_request&& r, const http::responder& respond) {
        const auto password = password_of(r.request.body);
        const auto sealed = password ? ports_.seal_password(r.path.at("provider"), *password)
                                     : result<bytes>(password.failure());
        if (!sealed)
          return respond(http::problem(sealed.failure()));
        respond(json_answer(bj::object{{"sealed_password", crypto::base64url(*sealed)}}));
      });
}

} // namespace custos::gateway
