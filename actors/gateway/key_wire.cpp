#include "actors/gateway/key_wire.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/http/http.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::gateway {

namespace bj = boost::json;

namespace {

constexpr std::size_t small_body_bytes_max = 64U << 10U;
/// Of an answer, as long as a request: ciphertexts only grow with their primary key's id.
constexpr std::size_t rewrapped_body_bytes_max = rewrap_body_bytes_max;
constexpr std::int64_t retry_after_s_max = 24 * 3600;

bj::string b64(byte_view data) {
  return bj::string(crypto::base64url(data));
}

bj::object item_of(byte_view ciphertext, byte_view context) {
  bj::object o{{"ciphertext", b64(ciphertext)}};
  if (!context.empty())
    o["context"] = b64(context);
  return o;
}

result<bytes> context_of(json::object& o) {
  CUSTOS_TRY(auto context, o.optional_base64url("context", context_bytes_max));
  return std::move(context).value_or(bytes{});
}

bj::object failure_object(const error& e) {
  auto members = bj::parse(http::problem(e).body).as_object();
  if (e.retry_after_s)
    members["retry_after_s"] = *e.retry_after_s;
  return members;
}

/// As a client reads a whole answer that is a problem document.
result<rewrapped_key> failure_of(json::object problem) {
  CUSTOS_TRY(const auto status, problem.integer("status", 400, 599));
  CUSTOS_TRY(const auto after, problem.optional_integer("retry_after_s", 0, retry_after_s_max));
  http::response r;
  r.status = static_cast<unsigned>(status);
  r.body = problem.text();
  auto e = http::error_of(r);
  if (after)
    e.retry_after_s = static_cast<std::uint32_t>(*after);
  rewrapped_key k;
  k.failure = std::move(e);
  return k;
}

result<rewrapped_key> outcome_of(json::object o) {
  CUSTOS_TRY(auto problem, o.optional_child("error"));
  if (problem)
    return failure_of(*std::move(problem));
  rewrapped_key k;
  CUSTOS_TRY(k.ciphertext, o.base64url("ciphertext", kek_ciphertext_bytes_max));
  CUSTOS_TRY(k.changed, o.boolean("changed"));
  return k;
}

error too_many() {
  return field_error(errc::too_large, "/keys",
                     "a rewrap takes at most " + std::to_string(rewrap_items_max) +
                         " keys in a body of at most " + std::to_string(rewrap_body_bytes_max) +
                         " bytes; send them in several calls");
}

} // namespace

std::string encode_encrypt(std::string_view jwe, byte_view context) {
  bj::object o{{"jwe", jwe}};
  if (!context.empty())
    o["context"] = b64(context);
  return bj::serialize(o);
}

result<encrypt_key> decode_encrypt(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  encrypt_key r;
  CUSTOS_TRY(r.jwe, o.string("jwe", key_jwe_bytes_max));
  CUSTOS_TRY(r.context, context_of(o));
  CUSTOS_CHECK(o.finish());
  return r;
}

std::string encode_encrypted(const key_encrypted& k) {
  return bj::serialize(bj::object{{"ciphertext", b64(k.ciphertext)}});
}

result<key_encrypted> decode_encrypted(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, small_body_bytes_max));
  key_encrypted k;
  CUSTOS_TRY(k.ciphertext, o.base64url("ciphertext", kek_ciphertext_bytes_max));
  return k;
}

std::string encode_rewrap(const std::vector<rewrap_item>& items) {
  bj::array list;
  for (const auto& item : items)
    list.emplace_back(item_of(item.ciphertext, item.context));
  return bj::serialize(bj::object{{"keys", std::move(list)}});
}

result<rewrap_keys> decode_rewrap(std::string_view body) {
  if (body.size() > rewrap_body_bytes_max)
    return too_many();
  CUSTOS_TRY(auto o, json::parse_object(body, rewrap_body_bytes_max));
  const auto items = o.array("keys", rewrap_items_max);
  if (!items)
    return items.failure().code == errc::too_large ? too_many() : items.failure();
  rewrap_keys r;
  r.items.reserve(items->size());
  for (const auto& item : *items) {
    CUSTOS_TRY(auto member, item.as_object());
    rewrap_item one;
    CUSTOS_TRY(one.ciphertext, member.base64url("ciphertext", kek_ciphertext_bytes_max));
    CUSTOS_TRY(one.context, context_of(member));
    CUSTOS_CHECK(member.finish());
    r.items.push_back(std::move(one));
  }
  CUSTOS_CHECK(o.finish());
  return r;
}

std::string encode_rewrapped(const keys_rewrapped& k) {
  bj::array list;
  for (const auto& one : k.keys)
    list.emplace_back(
        one.failure ? bj::object{{"error", failure_object(*one.failure)}}
                    : bj::object{{"ciphertext", b64(one.ciphertext)}, {"changed", one.changed}});
  return bj::serialize(bj::object{{"keys", std::move(list)}});
}

result<keys_rewrapped> decode_rewrapped(std::string_view body) {
  CUSTOS_TRY(auto o, json::parse_object(body, rewrapped_body_bytes_max));
  CUSTOS_TRY(const auto items, o.array("keys", rewrap_items_max));
  keys_rewrapped k;
  k.keys.reserve(items.size());
  for (const auto& item : items) {
    CUSTOS_TRY(auto member, item.as_object());
    CUSTOS_TRY(auto one, outcome_of(std::move(member)));
    k.keys.push_back(std::move(one));
  }
  return k;
}

} // namespace custos::gateway
