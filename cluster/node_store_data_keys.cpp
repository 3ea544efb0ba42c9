// Data keys that a node takes up and gives up while it runs (node_store.hpp).

#include "cluster/node_store.hpp"

#include <algorithm>

namespace custos::cluster {

namespace {

error unknown_key(const data_key_id& id) {
  return make_error(errc::not_found, "this node does not hold data key " + text_of(id));
}

bool names(const config_snapshot& present, const ring_key& key) {
  return present.data_keys.contains(text_of(key.id));
}

} // namespace

result<void> node_store::adopt_data_key(const data_key& object) {
  const auto self = identity();
  CUSTOS_TRY(auto opened, open_data_key(object, self.name, self.tls_key));
  const auto key = std::make_shared<const crypto::secret_bytes>(std::move(opened));
  const auto id = id_of(*key);
  if (seals_->holds(id))
    return {};
  auto ring = seals_->ring();
  CUSTOS_CHECK(add_key(ring, key, object.created));
  rocksdb::write_batch batch;
  CUSTOS_CHECK(add_data_key(batch, *ring.find(id), node_key_));
  CUSTOS_CHECK(store_->write(batch));
  seals_->replace(std::move(ring));
  return {};
}

result<void> node_store::use_data_key(const data_key_id& id) {
  auto ring = seals_->ring();
  if (ring.find(id) == nullptr)
    return unknown_key(id);
  if (ring.current == id)
    return {};
  ring.current = id;
  rocksdb::write_batch batch;
  CUSTOS_CHECK(add_cluster_keys(batch, *keys_, ring));
  CUSTOS_CHECK(store_->write(batch));
  seals_->replace(std::move(ring));
  return {};
}

result<void> node_store::forget_data_key(const data_key_id& id) {
  auto ring = seals_->ring();
  const auto at = std::find_if(ring.keys.begin(), ring.keys.end(),
                               [&](const ring_key& k) { return k.id == id; });
  if (at == ring.keys.end())
    return unknown_key(id);
  if (ring.current == id)
    return make_error(errc::invalid_argument, "data key " + text_of(id) + " seals: it stays");
  ring.keys.erase(at);
  rocksdb::write_batch batch;
  erase_data_key(batch, id);
  CUSTOS_CHECK(store_->write(batch));
  seals_->replace(std::move(ring));
  return {};
}

/// Those that no object names, that nothing is sealed under and that do not seal; the oldest go.
result<void> node_store::forget_unneeded(const config_snapshot& present) {
  const auto in_use = data_keys_in_use(present);
  std::vector<data_key_id> retired;
  for (const auto& key : seals_->ring().keys)
    if (key.id != seals_->current() && !names(present, key) &&
        !std::binary_search(in_use.begin(), in_use.end(), key.id))
      retired.push_back(key.id);
  for (std::size_t i = 0; i + retired_data_keys_kept < retired.size(); ++i)
    CUSTOS_CHECK(forget_data_key(retired[i]));
  return {};
}

std::vector<error> node_store::follow_data_keys(const config_snapshot& present,
                                                const std::vector<key_recipient>& members) {
  std::vector<error> problems;
  for (const auto& [name, object] : present.data_keys) {
    const auto id = data_key_id_of(name);
    if (!id || seals_->holds(*id))
      continue;
    // What is not for this node yet will be: the leader adds it.
    if (const auto done = adopt_data_key(object); !done && done.failure().code != errc::not_found)
      problems.push_back(done.failure());
  }
  const auto& ring = seals_->ring();
  const auto wanted = current_data_key(present, members);
  const auto* const next = wanted ? ring.find(*wanted) : nullptr;
  const auto* const now = ring.find(ring.current);
  // Never back to an older key: that a new member cannot open the object yet does not matter, as it
  // was given the key when it joined.
  if (next != nullptr && std::tie(next->created, next->id) > std::tie(now->created, now->id))
    if (const auto done = use_data_key(next->id); !done)
      problems.push_back(done.failure());
  if (const auto done = forget_unneeded(present); !done)
    problems.push_back(done.failure());
  return problems;
}

} // namespace custos::cluster
