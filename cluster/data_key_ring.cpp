#include "cluster/data_key_ring.hpp"

#include "adapters/crypto/crypto.hpp"
#include "cluster/fields.hpp"
#include "cluster/sealing.hpp"

#include <algorithm>
#include <cassert>
#include <list>
#include <tuple>

namespace custos::cluster {

namespace {

constexpr std::uint8_t ring_version = 1;
constexpr std::size_t created_bytes = 8;

/// In the answer to a join: append only.
enum ring_tag : std::uint8_t { tag_key = 1, tag_current };

error bad_ring(const std::string& expected) {
  return make_error(errc::malformed, "data keys: expected " + expected);
}

} // namespace

data_key_id id_of(const crypto::secret_bytes& data_key) {
  const auto digest = crypto::digest(crypto::hash_alg::sha256,
                                     {as_bytes("custos-data-key"), data_key.reveal_secret()});
  data_key_id out{};
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

std::string text_of(const data_key_id& id) {
  return crypto::hex(id);
}

std::optional<data_key_id> data_key_id_of(std::string_view text) {
  const auto octets = crypto::from_hex(text);
  if (!octets || octets->size() != data_key_id_bytes || crypto::hex(*octets) != text)
    return std::nullopt;
  data_key_id out{};
  std::copy(octets->begin(), octets->end(), out.begin());
  return out;
}

std::optional<data_key_id> data_key_of(byte_view sealed) {
  if (sealed.size() < sealed_overhead_bytes || sealed.front() != sealed_version)
    return std::nullopt;
  data_key_id out{};
  std::copy_n(sealed.begin() + 1, out.size(), out.begin());
  return out;
}

const ring_key* data_key_ring::find(const data_key_id& id) const {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const ring_key& k) { return k.id == id; });
  return found == keys.end() ? nullptr : &*found;
}

data_key_ring first_data_key_ring() {
  return ring_of(
      std::make_shared<const crypto::secret_bytes>(crypto::random_secret(data_key_bytes)));
}

data_key_ring ring_of(crypto::secret_ptr key) {
  assert(key && key->size() == data_key_bytes);
  data_key_ring out;
  out.current = id_of(*key);
  out.keys.push_back({out.current, 0, std::move(key)});
  return out;
}

result<void> add_key(data_key_ring& ring, crypto::secret_ptr key, std::int64_t created) {
  assert(key && key->size() == data_key_bytes);
  const auto id = id_of(*key);
  if (const auto* const same = ring.find(id)) {
    if (crypto::equal(same->key->reveal_secret(), key->reveal_secret()))
      return {};
    return make_error(errc::already_exists, "another data key has the id " + text_of(id));
  }
  if (ring.keys.size() >= data_keys_max)
    return make_error(errc::too_large, "expected at most " + std::to_string(data_keys_max) +
                                           " data keys: let rotations end first");
  const auto place = std::find_if(ring.keys.begin(), ring.keys.end(), [&](const ring_key& k) {
    return std::tie(created, id) < std::tie(k.created, k.id);
  });
  ring.keys.insert(place, {id, created, std::move(key)});
  return {};
}

crypto::secret_bytes serialize(const data_key_ring& ring) {
  std::list<crypto::secret_bytes> values;
  std::vector<tagged_field> fields{{tag_current, ring.current}};
  for (const auto& k : ring.keys) {
    auto& value = values.emplace_back(created_bytes + data_key_bytes);
    auto out = value.writable_secret();
    for (std::size_t i = 0; i < created_bytes; ++i)
      out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(k.created) >>
                                         (8U * (created_bytes - 1 - i)));
    std::copy_n(k.key->reveal_secret().begin(), data_key_bytes, out.begin() + created_bytes);
    fields.push_back({tag_key, value.reveal_secret()});
  }
  return write_fields(ring_version, fields);
}

result<data_key_ring> parse_data_key_ring(byte_view octets) {
  CUSTOS_TRY(const auto fields, read_fields(ring_version, octets));
  data_key_ring out;
  for (const auto& f : fields) {
    if (f.tag != tag_key)
      continue;
    if (f.value.size() != created_bytes + data_key_bytes)
      return bad_ring("a time and a key");
    std::uint64_t created = 0;
    for (const auto octet : f.value.first(created_bytes))
      created = (created << 8U) | octet;
    CUSTOS_CHECK(
        add_key(out, std::make_shared<const crypto::secret_bytes>(f.value.subspan(created_bytes)),
                static_cast<std::int64_t>(created)));
  }
  CUSTOS_TRY(const auto current, one_field(fields, tag_current));
  if (current.size() != data_key_id_bytes)
    return bad_ring("the id of the current key");
  std::copy(current.begin(), current.end(), out.current.begin());
  if (out.find(out.current) == nullptr)
    return bad_ring("the current key among them");
  return out;
}

} // namespace custos::cluster
