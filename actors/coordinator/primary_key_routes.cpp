// Primary keys of key providers: made on key servers, or by a node for a native provider.

#include "actors/coordinator/coordinator_api.hpp"
#include "actors/coordinator/provider_documents.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::coordinator {

namespace bj = boost::json;
using gateway::access;
using gateway::routed_request;

namespace {

constexpr std::size_t text_bytes_max = 512;
constexpr std::size_t body_bytes_max = 1U << 20U;
constexpr std::size_t keys_max = 64;
/// The name of a key: "custos-", this much of the provider's, "-" and 16 digits; at most 128.
constexpr std::size_t provider_in_key_name_max = 96;

const std::string base = "/custos/v1/trust-authority-clusters/{cluster}/kms/providers/{provider}";

bool is_native(const bj::object& document) {
  const auto* const type = document.if_contains("type");
  return type != nullptr && *type == bj::value("native");
}

error not_native() {
  return field_error(errc::unsupported, "provider",
                     "expected a native provider: the primary keys of this one are on key servers");
}

/// A new key as a node answers it, as a member of primary_keys.
result<bj::object> native_key_of(const std::string& body) {
  CUSTOS_TRY(auto o, json::parse_object(body, body_bytes_max));
  bj::object out;
  CUSTOS_TRY(out["id"], o.string("id", text_bytes_max));
  CUSTOS_TRY(out["sealed_key"], o.string("sealed_key", text_bytes_max));
  CUSTOS_TRY(out["created"], o.integer("created", 1, INT64_MAX / 2));
  return out;
}

/// The keys of a native provider's document; null where it has another form.
bj::array* keys_of(bj::object& document) {
  auto* const keys = document.if_contains("primary_keys");
  return keys == nullptr ? nullptr : keys->if_array();
}

std::string text_in(const bj::value& key, std::string_view name) {
  const auto* const o = key.if_object();
  const auto* const text = o == nullptr ? nullptr : o->if_contains(name);
  return text == nullptr || !text->is_string() ? std::string() : std::string(text->get_string());
}

std::int64_t created(const bj::value& key) {
  const auto* const o = key.if_object();
  const auto* const at = o == nullptr ? nullptr : o->if_contains("created");
  return at == nullptr || !at->is_int64() ? 0 : at->get_int64();
}

result<void> add_key(bj::object& document, bj::object key) {
  auto* const keys = keys_of(document);
  if (keys == nullptr)
    return not_native();
  // Newer than the others even where clocks differ.
  auto at = created(key);
  for (const auto& other : *keys)
    at = std::max(at, created(other) + 1);
  key["created"] = at;
  keys->push_back(std::move(key));
  return {};
}

/// Notes that these keys are in a backup. The newest of them that is newer than the primary key
/// takes its place.
result<void> confirm(bj::object& document, const std::vector<std::string>& ids) {
  auto* const keys = keys_of(document);
  if (keys == nullptr)
    return not_native();
  const bj::value* chosen = nullptr;
  for (const auto& key : *keys)
    if (document["primary_key_id"] == bj::value(text_in(key, "id")))
      chosen = &key;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto found = std::find_if(keys->begin(), keys->end(),
                                    [&](const auto& key) { return text_in(key, "id") == ids[i]; });
    if (found == keys->end())
      return field_error(errc::invalid_argument, "/keys/" + std::to_string(i),
                         "expected the id of a primary key of the provider");
    found->get_object()["backed_up"] = true;
    if (chosen == nullptr || created(*found) > created(*chosen))
      chosen = &*found;
  }
  if (chosen != nullptr)
    document["primary_key_id"] = text_in(*chosen, "id");
  return {};
}

result<void> retire(bj::object& document, const std::string& id) {
  auto* const keys = keys_of(document);
  if (keys == nullptr)
    return not_native();
  const auto found = std::find_if(keys->begin(), keys->end(),
                                  [&](const auto& key) { return text_in(key, "id") == id; });
  if (found == keys->end())
    return field_error(errc::not_found, "key", "the provider has no such primary key");
  if (document["primary_key_id"] == bj::value(id))
    return field_error(errc::invalid_argument, "key",
                       "expected another key than the one new ciphertexts are made with");
  keys->erase(found);
  return {};
}

result<std::vector<std::string>> confirmed_keys(const std::string& body) {
  CUSTOS_TRY(auto o, json::parse_object(body, body_bytes_max));
  CUSTOS_TRY(const auto items, o.array("keys", keys_max));
  if (items.empty())
    return field_error(errc::invalid_argument, "/keys", "expected at least one id");
  std::vector<std::string> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto id, item.as_string(text_bytes_max));
    out.push_back(std::move(id));
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

} // namespace

void coordinator_api::make_native_key(const std::vector<member>& nodes, const std::string& provider,
                                      std::function<void(result<bj::object>)> done) const {
  http::call call;
  call.method = "POST";
  call.url = "/keys/v1/admin/providers/" + provider + "/native-key";
  call.body = "{}";
  on_one(nodes, call, [done = std::move(done)](const result<std::string>& body) {
    done(body ? native_key_of(*body) : result<bj::object>(body.failure()));
  });
}

void coordinator_api::create_native_provider(const std::vector<member>& nodes,
                                             const provider_spec& spec,
                                             const work_done& done) const {
  make_native_key(nodes, spec.name, [this, nodes, spec, done](result<bj::object> key) {
    if (!key)
      return done({key.failure(), {}});
    auto document = spec.document;
    document["primary_key_id"] = key->at("id");
    document["primary_keys"] = bj::array{*std::move(key)};
    create_object(nodes, "key-providers", spec.name, bj::serialize(document), done);
  });
}

void coordinator_api::rotate_native(const std::vector<member>& nodes, const std::string& provider,
                                    const work_done& done) const {
  make_native_key(nodes, provider, [this, nodes, provider, done](const result<bj::object>& key) {
    if (!key)
      return done({key.failure(), {}});
    edit_object(
        nodes, "key-providers", provider,
        [key = *key](bj::object& document) { return add_key(document, key); },
        [done, id = key->at("id")](work_result w) {
          if (w.outcome)
            w.outcome = bj::serialize(id);
          done(std::move(w));
        });
  });
}

void coordinator_api::rotate_on_servers(const std::vector<member>& nodes,
                                        const std::string& provider, const work_done& done) const {
  http::call create;
  create.method = "POST";
  create.url = "/keys/v1/admin/providers/" + provider + "/primary-key";
  // The name is new each time: an answer that got lost never makes a second key pass for the first.
  create.body =
      bj::serialize(bj::object{{"name", "custos-" + provider.substr(0, provider_in_key_name_max) +
                                            "-" + crypto::hex(crypto::random_bytes(8))}});
  on_one(nodes, create, [this, nodes, provider, done](const result<std::string>& body) {
    if (!body)
      return done({body.failure(), {}});
    auto answer = json::parse_object(*body, body_bytes_max);
    auto id = answer ? answer->string("primary_key_id", text_bytes_max)
                     : result<std::string>(answer.failure());
    if (!id)
      return done({id.failure(), {}});
    edit_object(
        nodes, "key-providers", provider,
        [id = *id](bj::object& document) -> result<void> {
          document["primary_key_id"] = id;
          return {};
        },
        [done, id = *id](work_result w) {
          if (w.outcome)
            w.outcome = bj::serialize(bj::string(id));
          done(std::move(w));
        });
  });
}

void coordinator_api::add_primary_key_routes() {
  add("POST", base + "/primary-key", access::administrator,
      "Makes a primary key: on the key server, where it becomes the provider's; or for a native "
      "provider, where it does so once it is confirmed to be in a backup",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {"custos.kms:Providers.create-primary-key", r.path.at("cluster"), 201},
            [this, nodes = *nodes, provider = r.path.at("provider")](const work_done& done) {
              read_document(nodes, "key-providers", provider,
                            [this, nodes, provider, done](const result<bj::object>& document) {
                              if (!document)
                                return done({document.failure(), {}});
                              if (is_native(*document))
                                rotate_native(nodes, provider, done);
                              else
                                rotate_on_servers(nodes, provider, done);
                            });
            });
      });
  add("POST", base + "/primary-keys/confirm-backup", access::administrator,
      "Notes that primary keys of a native provider are in a backup; the newest then protects",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        auto keys = confirmed_keys(r.request.body);
        if (!nodes || !keys)
          return respond(contract_error(nodes ? keys.failure() : nodes.failure()));
        run(r, respond, {"custos.kms:Providers.confirm-backup", r.path.at("cluster")},
            [this, nodes = *nodes, keys = *keys,
             provider = r.path.at("provider")](const work_done& done) {
              edit_object(
                  nodes, "key-providers", provider,
                  [keys](bj::object& document) { return confirm(document, keys); }, done);
            });
      });
  add("DELETE", base + "/primary-keys/{key}", access::administrator,
      "Removes a primary key of a native provider: what is encrypted under it is lost",
      [this](routed_request&& r, const http::responder& respond) {
        auto nodes = nodes_of(r);
        if (!nodes)
          return respond(contract_error(nodes.failure()));
        run(r, respond, {"custos.kms:Providers.retire-primary-key", r.path.at("cluster")},
            [this, nodes = *nodes, key = r.path.at("key"),
             provider = r.path.at("provider")](const work_done& done) {
              edit_object(
                  nodes, "key-providers", provider,
                  [key](bj::object& document) { return retire(document, key); }, done);
            });
      });
}

} // namespace custos::coordinator
