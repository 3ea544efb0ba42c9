#include "runtime/local_api.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/crypto/secret_encoding.hpp"
#include "messages/keys.hpp"
#include "runtime/host_json.hpp"
#include "runtime/log.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::runtime {

namespace bj = boost::json;

namespace {

constexpr std::size_t provider_bytes_max = 128;
constexpr std::size_t key_chars_max = (kek_bytes_max + 2) / 3 * 4;
/// A node may have to ask a key server for each of many files.
constexpr std::chrono::milliseconds rewrap_budget{90000};

crypto::secret_bytes line_of(const bj::object& o) {
  return crypto::secret_bytes(as_bytes(bj::serialize(o)));
}

} // namespace

crypto::secret_bytes key_line(const crypto::secret_bytes& key, byte_view ciphertext) {
  const auto text = crypto::base64url_of(key);
  std::string tail = "\"";
  if (!ciphertext.empty())
    tail += R"(,"ciphertext":")" + crypto::base64url(ciphertext) + "\"";
  tail += "}";
  constexpr std::string_view head = R"({"key":")";
  crypto::secret_bytes out(head.size() + text.size() + tail.size());
  auto* at = out.writable_secret().data();
  at = std::copy(head.begin(), head.end(), at);
  at = std::copy_n(text.reveal_secret().data(), text.size(), at);
  std::copy(tail.begin(), tail.end(), at);
  return out;
}

void local_api::status(bool attest_first, std::function<void(result<bj::object>)> finish) {
  auto next = [this, finish = std::move(finish)](result<host_status> s) {
    if (!s)
      return finish(s.failure());
    calls_.ask<rewrap_status>(keys_, agent_budget, get_rewrap_status{},
                              [finish, told = json_of(*s)](result<rewrap_status> r) mutable {
                                if (!r)
                                  return finish(r.failure());
                                if (r->configured)
                                  told["rewrap"] = json_of(*r);
                                finish(std::move(told));
                              });
  };
  if (attest_first)
    calls_.ask<host_status>(agent_, attest_budget, attest_now{}, std::move(next));
  else
    calls_.ask<host_status>(agent_, agent_budget, get_host_status{}, std::move(next));
}

void local_api::answer(std::string_view line, unsigned uid, const local_responder& respond) {
  auto o = json::parse_object(line, local_line_bytes_max);
  auto op = o ? o->string("op", 32) : result<std::string>(o.failure());
  if (!op)
    return respond(error_line(op.failure()));
  if (*op == "generate" || *op == "decrypt")
    return release(*o, *op, uid, respond);
  if (*op == "encrypt")
    return encrypt(*o, uid, respond);
  if (*op != "status" && *op != "attest" && *op != "rewrap")
    return respond(
        error_line(field_error(errc::invalid_argument, "/op",
                               "expected generate, decrypt, encrypt, rewrap, attest or status")));
  if (auto all = o->finish(); !all)
    return respond(error_line(all.failure()));
  if (*op == "rewrap")
    return rewrap(respond);
  status(*op == "attest", [respond](const result<bj::object>& s) {
    respond(s ? line_of(*s) : error_line(s.failure()));
  });
}

void local_api::release(json::object& o, const std::string& op, unsigned uid,
                        const local_responder& respond) {
  const auto read = [&o, &op]() -> result<request_key> {
    request_key r;
    CUSTOS_TRY(r.provider, o.string("provider", provider_bytes_max));
    CUSTOS_TRY(auto context, o.optional_base64url("context", context_bytes_max));
    r.context = std::move(context).value_or(bytes{});
    if (op == "generate") {
      CUSTOS_TRY(const auto n, o.optional_integer("bytes", kek_bytes_min, kek_bytes_max));
      r.key_bytes = static_cast<std::uint32_t>(n.value_or(32));
    } else {
      CUSTOS_TRY(r.ciphertext, o.base64url("ciphertext", kek_ciphertext_bytes_max));
      if (r.ciphertext.empty())
        return field_error(errc::invalid_argument, "/ciphertext",
                           "expected the ciphertext of a key");
    }
    CUSTOS_CHECK(o.finish());
    return r;
  };
  auto request = read();
  if (!request)
    return respond(error_line(request.failure()));
  log_info("local.key",
           {{"op", op}, {"provider", request->provider}, {"uid", std::to_string(uid)}});
  calls_.ask<key_ready>(agent_, agent_budget, *std::move(request), [respond](result<key_ready> k) {
    respond(k ? key_line(*k->key, k->ciphertext) : error_line(k.failure()));
  });
}

void local_api::encrypt(json::object& o, unsigned uid, const local_responder& respond) {
  const auto read = [&o]() -> result<put_key> {
    put_key p;
    CUSTOS_TRY(p.provider, o.string("provider", provider_bytes_max));
    CUSTOS_TRY(auto context, o.optional_base64url("context", context_bytes_max));
    p.context = std::move(context).value_or(bytes{});
    CUSTOS_TRY(const auto text, o.secret_string("key", key_chars_max));
    auto key = crypto::secret_from_base64url(text);
    if (!key)
      return field_error(errc::invalid_argument, "/key", key.failure().message);
    p.key = std::make_shared<const crypto::secret_bytes>(*std::move(key));
    CUSTOS_CHECK(o.finish());
    return p;
  };
  auto request = read();
  if (!request)
    return respond(error_line(request.failure()));
  log_info("local.key",
           {{"op", "encrypt"}, {"provider", request->provider}, {"uid", std::to_string(uid)}});
  calls_.ask<key_put>(keys_, attest_budget, *std::move(request), [respond](result<key_put> k) {
    respond(k ? line_of({{"ciphertext", crypto::base64url(k->ciphertext)}})
              : error_line(k.failure()));
  });
}

void local_api::rewrap(const local_responder& respond) {
  calls_.ask<rewrap_status>(keys_, rewrap_budget, rewrap_now{}, [respond](result<rewrap_status> r) {
    respond(r ? line_of(json_of(*r)) : error_line(r.failure()));
  });
}

} // namespace custos::runtime
