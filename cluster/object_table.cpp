#include "cluster/object_table.hpp"

#include <algorithm>
#include <cassert>

namespace custos::cluster {

namespace {

bool before(const object_ptr& a, const object_ptr& b) {
  return a->name < b->name;
}

bool before_name(const object_ptr& a, std::string_view name) {
  return a->name < name;
}

/// Where the object of this name is, or would be.
std::size_t position_of(const std::vector<object_ptr>& objects, std::string_view name) {
  return static_cast<std::size_t>(
      std::lower_bound(objects.begin(), objects.end(), name, before_name) - objects.begin());
}

bool is_at(const std::vector<object_ptr>& objects, std::size_t position, std::string_view name) {
  return position < objects.size() && objects[position]->name == name;
}

/// Over the hashes of the parts, one after the other.
template <class Parts>
crypto::sha256_digest hash_of_parts(const Parts& parts) {
  std::array<std::uint8_t, std::tuple_size_v<Parts> * sizeof(crypto::sha256_digest)> all{};
  auto at = all.begin();
  for (const auto& part : parts)
    at = std::copy(part->hash.begin(), part->hash.end(), at);
  return crypto::sha256(all);
}

} // namespace

object_ptr make_object(std::string name, config_object value) {
  auto document = write_object(value);
  document.shrink_to_fit(); // it stays
  const auto hash = crypto::sha256(as_bytes(document));
  return std::make_shared<const stored_object>(
      stored_object{std::move(name), std::move(value), std::move(document), hash});
}

object_table::place object_table::place_of(std::string_view name) {
  const auto digest = crypto::sha256(as_bytes(name));
  const unsigned bits = unsigned{digest[0]} << 2U | unsigned{digest[1]} >> 6U;
  return {bits / fan_out, bits % fan_out};
}

object_table::bucket_ptr object_table::make_bucket(std::vector<object_ptr> objects) {
  bytes all;
  for (const auto& object : objects) {
    assert(object->name.size() <= object_name_bytes_max);
    all.push_back(static_cast<std::uint8_t>(object->name.size()));
    all.insert(all.end(), object->name.begin(), object->name.end());
    all.insert(all.end(), object->hash.begin(), object->hash.end());
  }
  const auto hash = crypto::sha256(all);
  return std::make_shared<const bucket>(bucket{std::move(objects), hash});
}

object_table::group_ptr object_table::make_group(std::array<bucket_ptr, fan_out> buckets) {
  const auto hash = hash_of_parts(buckets);
  return std::make_shared<const group>(group{std::move(buckets), hash});
}

std::shared_ptr<const object_table::root>
object_table::make_root(std::array<group_ptr, fan_out> groups, std::size_t size) {
  const auto hash = hash_of_parts(groups);
  return std::make_shared<const root>(root{std::move(groups), hash, size});
}

object_table::object_table() {
  static const auto nothing = [] {
    std::array<bucket_ptr, fan_out> buckets;
    buckets.fill(make_bucket({}));
    std::array<group_ptr, fan_out> groups;
    groups.fill(make_group(std::move(buckets)));
    return make_root(std::move(groups), 0);
  }();
  root_ = nothing;
}

object_table::object_table(std::vector<object_ptr> objects) : object_table() {
  // Buckets and groups that stay empty are those of the empty table.
  std::array<std::array<std::vector<object_ptr>, fan_out>, fan_out> sorted_in;
  for (auto& object : objects) {
    const auto at = place_of(object->name);
    sorted_in[at.group][at.bucket].push_back(std::move(object));
  }
  std::size_t size = 0;
  auto groups = root_->groups;
  for (std::size_t g = 0; g < fan_out; ++g) {
    auto buckets = groups[g]->buckets;
    for (std::size_t b = 0; b < fan_out; ++b) {
      auto& mine = sorted_in[g][b];
      if (mine.empty())
        continue;
      std::stable_sort(mine.begin(), mine.end(), before);
      std::vector<object_ptr> last_of_each;
      last_of_each.reserve(mine.size());
      for (std::size_t i = 0; i < mine.size(); ++i)
        if (i + 1 == mine.size() || mine[i + 1]->name != mine[i]->name)
          last_of_each.push_back(std::move(mine[i]));
      size += last_of_each.size();
      buckets[b] = make_bucket(std::move(last_of_each));
    }
    if (buckets != groups[g]->buckets)
      groups[g] = make_group(std::move(buckets));
  }
  if (size > 0)
    root_ = make_root(std::move(groups), size);
}

std::size_t object_table::size() const {
  return root_->size;
}

const crypto::sha256_digest& object_table::hash() const {
  return root_->hash;
}

const stored_object* object_table::find(std::string_view name) const {
  const auto at = place_of(name);
  const auto& objects = root_->groups[at.group]->buckets[at.bucket]->objects;
  const auto position = position_of(objects, name);
  return is_at(objects, position, name) ? objects[position].get() : nullptr;
}

object_table object_table::with_bucket(place at, std::vector<object_ptr> objects) const {
  auto groups = root_->groups;
  auto buckets = groups[at.group]->buckets;
  auto& slot = buckets[at.bucket];
  const auto size = root_->size - slot->objects.size() + objects.size();
  slot = make_bucket(std::move(objects));
  groups[at.group] = make_group(std::move(buckets));
  return object_table(make_root(std::move(groups), size));
}

object_table object_table::with(const object_ptr& object) const {
  const auto at = place_of(object->name);
  auto objects = root_->groups[at.group]->buckets[at.bucket]->objects;
  const auto position = position_of(objects, object->name);
  if (is_at(objects, position, object->name))
    objects[position] = object;
  else
    objects.insert(objects.begin() + static_cast<std::ptrdiff_t>(position), object);
  return with_bucket(at, std::move(objects));
}

object_table object_table::without(std::string_view name) const {
  const auto at = place_of(name);
  auto objects = root_->groups[at.group]->buckets[at.bucket]->objects;
  const auto position = position_of(objects, name);
  if (!is_at(objects, position, name))
    return *this;
  objects.erase(objects.begin() + static_cast<std::ptrdiff_t>(position));
  return with_bucket(at, std::move(objects));
}

std::vector<object_ptr> object_table::sorted() const {
  std::vector<object_ptr> out;
  out.reserve(size());
  for_each([&](const object_ptr& object) { out.push_back(object); });
  std::sort(out.begin(), out.end(), before);
  return out;
}

} // namespace custos::cluster
