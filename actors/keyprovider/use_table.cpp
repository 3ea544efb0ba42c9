#include "actors/keyprovider/use_table.hpp"

#include "actors/keyprovider/ciphertext.hpp"
#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::keyprovider {

namespace bj = boost::json;

/// Null when the table is full.
use_table::entry* use_table::place_of(std::string_view provider, std::string_view primary_key_id) {
  auto p = providers_.find(provider);
  if (p != providers_.end())
    if (const auto k = p->second.find(primary_key_id); k != p->second.end())
      return &k->second;
  if (size_ >= counted_keys_max)
    return nullptr;
  ++size_;
  if (p == providers_.end())
    p = providers_.emplace(provider, keys{}).first;
  auto& made = p->second[std::string(primary_key_id)];
  made.uses.provider = provider;
  made.uses.primary_key_id = primary_key_id;
  return &made;
}

void use_table::count(std::string_view provider, std::string_view primary_key_id, counted_use use,
                      std::int64_t now) {
  const std::lock_guard guard(mutex_);
  auto* const place = place_of(provider, primary_key_id);
  if (place == nullptr) {
    complete_ = false;
    return;
  }
  auto& u = place->uses;
  place->changed = true;
  // A clock set back does not make a use older than it was.
  if (use == counted_use::decrypt) {
    ++u.decrypts;
    u.last_decrypt = std::max(u.last_decrypt, now);
  } else {
    ++u.rewraps;
    u.last_rewrap = std::max(u.last_rewrap, now);
  }
}

std::vector<primary_key_uses> use_table::of(std::string_view provider) const {
  const std::lock_guard guard(mutex_);
  std::vector<primary_key_uses> out;
  if (const auto p = providers_.find(provider); p != providers_.end())
    for (const auto& [id, one] : p->second)
      out.push_back(one.uses);
  return out;
}

bool use_table::complete() const {
  const std::lock_guard guard(mutex_);
  return complete_;
}

std::vector<primary_key_uses> use_table::take_changed() {
  const std::lock_guard guard(mutex_);
  std::vector<primary_key_uses> out;
  for (auto& [provider, held] : providers_)
    for (auto& [id, one] : held)
      if (std::exchange(one.changed, false))
        out.push_back(one.uses);
  return out;
}

void use_table::changed_again(const std::vector<primary_key_uses>& which) {
  const std::lock_guard guard(mutex_);
  for (const auto& one : which)
    if (auto* const place = place_of(one.provider, one.primary_key_id))
      place->changed = true;
}

void use_table::restore(primary_key_uses stored) {
  const std::lock_guard guard(mutex_);
  if (auto* const place = place_of(stored.provider, stored.primary_key_id))
    place->uses = std::move(stored);
  else
    complete_ = false;
}

std::string encode_uses(const primary_key_uses& u) {
  return bj::serialize(bj::object{{"provider", u.provider},
                                  {"primary_key_id", u.primary_key_id},
                                  {"decrypts", u.decrypts},
                                  {"rewraps", u.rewraps},
                                  {"last_decrypt", u.last_decrypt},
                                  {"last_rewrap", u.last_rewrap}});
}

namespace {

constexpr std::size_t document_bytes_max = 16U << 10U;

result<primary_key_uses> read_uses(std::string_view document) {
  CUSTOS_TRY(auto o, json::parse_object(document, document_bytes_max));
  primary_key_uses u;
  CUSTOS_TRY(u.provider, o.string("provider", provider_name_bytes_max));
  CUSTOS_TRY(u.primary_key_id, o.string("primary_key_id", primary_key_id_bytes_max));
  CUSTOS_TRY(const auto decrypts, o.integer("decrypts", 0, INT64_MAX));
  CUSTOS_TRY(const auto rewraps, o.integer("rewraps", 0, INT64_MAX));
  CUSTOS_TRY(u.last_decrypt, o.integer("last_decrypt", 0, INT64_MAX));
  CUSTOS_TRY(u.last_rewrap, o.integer("last_rewrap", 0, INT64_MAX));
  u.decrypts = static_cast<std::uint64_t>(decrypts);
  u.rewraps = static_cast<std::uint64_t>(rewraps);
  return u;
}

bj::object json_of(const primary_key_uses& u) {
  return {{"primary_key_id", u.primary_key_id},
          {"primary_key", primary_key_name(u.primary_key_id)},
          {"decrypts", u.decrypts},
          {"rewraps", u.rewraps},
          {"last_decrypt", u.last_decrypt},
          {"last_rewrap", u.last_rewrap}};
}

} // namespace

result<primary_key_uses> decode_uses(std::string_view document) {
  auto read = read_uses(document);
  if (!read)
    return make_error(errc::corrupted, "uses of a primary key: " + read.failure().message);
  return read;
}

std::string uses_document(const use_table& table, std::string_view node, std::string_view provider,
                          std::string_view present) {
  bj::array list;
  for (const auto& one : table.of(provider))
    list.emplace_back(json_of(one));
  return bj::serialize(bj::object{{"node", node},
                                  {"provider", provider},
                                  {"primary_key_id", present},
                                  {"since", table.since()},
                                  {"complete", table.complete()},
                                  {"primary_keys", std::move(list)}});
}

} // namespace custos::keyprovider
