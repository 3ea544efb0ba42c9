#include "actors/gateway/backup_route.hpp"

#include "actors/gateway/node_api.hpp"
#include "adapters/jose/jose.hpp"
#include "adapters/json/json.hpp"

namespace custos::gateway {

namespace {

constexpr std::size_t body_bytes_max = 16U << 10U;
constexpr std::size_t pem_bytes_max = 4U << 10U;

result<crypto::key> recipient_of(std::string_view text) {
  CUSTOS_TRY(auto body, json::parse_object(text, body_bytes_max));
  CUSTOS_TRY(const auto pem, body.string("recipient", pem_bytes_max));
  CUSTOS_CHECK(body.finish());
  auto key = crypto::public_key_from_pem(as_bytes(pem));
  if (!key || key->type() != crypto::key_type::p256)
    return field_error(errc::invalid_argument, "/recipient",
                       "expected the public key of the recipient, P-256, in PEM");
  return key;
}

http::response file_answer(std::string file) {
  http::response out;
  out.content_type = "application/octet-stream";
  out.headers.push_back({"Cache-Control", "no-store"});
  out.body = std::move(file);
  return out;
}

} // namespace

void answer_with_backup(const routed_request& r, const http::responder& respond,
                        const backup_source& from) {
  auto recipient = recipient_of(r.request.body);
  if (!recipient)
    return respond(from.refuse(recipient.failure()));
  const auto thumbprint = jose::thumbprint(*recipient);
  if (!thumbprint)
    return respond(from.refuse(thumbprint.failure()));
  const audit_record about{r.principal, r.request.remote, from.action,
                           "",          "asked",          "for " + *thumbprint};
  from.audit(about);
  from.make(*std::move(recipient),
            [respond, about, audit = from.audit, refuse = from.refuse](result<std::string> file) {
              auto outcome = about;
              outcome.outcome = file ? "ok" : std::string(to_string(file.failure().code));
              if (!file)
                outcome.detail = file.failure().message;
              audit(std::move(outcome));
              respond(file ? file_answer(*std::move(file)) : refuse(file.failure()));
            });
}

void node_api::add_backup_routes() {
  // A backup that lacks the change acknowledged a moment before is found out on the worst of days.
  router_.add({"POST", "/cluster/v1/backup", access::administrator,
               "Configuration and keys of the cluster, sealed for the public key given",
               [this](routed_request&& r, const http::responder& respond) {
                 answer_with_backup(
                     r, respond,
                     {"cluster.backup", ports_.make_backup, ports_.audit, http::problem});
               },
               true});
}

} // namespace custos::gateway
